/** Is the server there? */
import { computed, signal } from "@preact/signals";

export const connection = signal<"connecting" | "online" | "lost" | "locked">("connecting");
export const online = computed(() => connection.value === "online");

/** What the key of this tab may do: the page offers nothing else. */
import { signal } from "@preact/signals";
import { api } from "../api/client";
import type { Right } from "../api/types";

const rights = signal<readonly Right[]>(["read", "generate", "admin"]); // until the server says otherwise

export const may = (right: Right) => rights.value.includes(right);

export async function refreshSession() {
  rights.value = (await api.session()).rights;
}

/** How the page looks and listens: theme, keys, and the screen that is shown. */
import { effect, signal } from "@preact/signals";
import { stored } from "./stored";

export type Theme = "system" | "light" | "dark";
export const theme = stored<Theme>("theme", "system");
export const singleKeys = stored("keys", true);

effect(() => {
  const root = document.documentElement;
  if (theme.value === "system") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
});

export const SCREENS = ["create", "library", "models", "system"] as const;
export type Screen = (typeof SCREENS)[number];

function fromAddress(): Screen {
  const name = location.hash.replace(/^#\/?/, "");
  return SCREENS.find((screen) => screen === name) ?? "create";
}

export const screen = signal<Screen>(fromAddress());
addEventListener("hashchange", () => {
  screen.value = fromAddress();
});

/** Shows a screen and puts the focus on its heading, as a new page would. */
export function show(name: Screen) {
  location.hash = `/${name}`;
  screen.value = name;
  requestAnimationFrame(() => {
    scrollTo(0, 0);
    document.getElementById("main")?.focus();
  });
}

/** Which dialog is open. */
export const dialog = signal<"" | "help" | "key" | "preset">("");

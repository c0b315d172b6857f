/** Signals that survive a reload. Storage may be full or forbidden: then they simply do not. */
import { effect, signal, type Signal } from "@preact/signals";

function read<T>(name: string): T | undefined {
  try {
    const text = localStorage.getItem(`acestep.${name}`);
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
}

function write(name: string, value: unknown) {
  try {
    localStorage.setItem(`acestep.${name}`, JSON.stringify(value));
  } catch {
    // nothing that the page needs
  }
}

export function stored<T>(name: string, missing: T): Signal<T> {
  const kept = signal<T>(read<T>(name) ?? missing);
  effect(() => write(name, kept.value));
  return kept;
}

/** Puts the state together with the server: first everything is read, then its events are followed. */
import { api, whenLocked } from "../api/client";
import { follow } from "../api/events";
import { refreshAdapters } from "./adapters";
import { onEvent, refreshJobs } from "./jobs";
import { dialog } from "./look";
import { params } from "./params";
import { refreshPresets } from "./presets";
import { connection } from "./server";
import { refreshSystem } from "./system";

async function load() {
  params.value = await api.params();
  await Promise.all([refreshSystem(), refreshJobs(), refreshPresets(), refreshAdapters()]);
}

let stream: { retry: () => void } | undefined;

export function start() {
  whenLocked(() => {
    connection.value = "locked";
    dialog.value = "key";
  });
  stream = follow("v1/events", {
    event: (event) => void (event.name === "engine" ? refreshSystem() : onEvent(event)),
    open: async () => {
      try {
        await load();
        connection.value = "online";
      } catch {
        // the stream will break as well, and say so
      }
    },
    lost: () => {
      if (connection.value !== "locked") connection.value = "lost";
    },
  });
}

/** After a key was given, or because a person does not want to wait. */
export function retry() {
  connection.value = "connecting";
  stream?.retry();
}

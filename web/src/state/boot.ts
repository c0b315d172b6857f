/** Puts the state together with the server: first everything is read, then its events are followed. */
import { api, whenLocked } from "../api/client";
import { follow } from "../api/events";
import { refreshAdapters } from "./adapters";
import { followDevice, refreshDevice } from "./device";
import { onEvent, refreshJobs } from "./jobs";
import { dialog } from "./look";
import { params } from "./params";
import { refreshPresets } from "./presets";
import { connection } from "./server";
import { refreshSession } from "./session";
import { refreshStore } from "./store";
import { refreshSystem } from "./system";

async function load() {
  await refreshSession();
  params.value = await api.params();
  await Promise.all([refreshSystem(), refreshDevice(), refreshJobs(), refreshPresets(), refreshAdapters(), refreshStore()]);
}

/** The engine is loaded, works, or its card is another than before. */
function onEngine(state: string) {
  void refreshSystem();
  void followDevice(state);
}

let stream: { retry: () => void } | undefined;

export function start() {
  whenLocked(() => {
    connection.value = "locked";
    dialog.value = "key";
  });
  stream = follow("v1/events", {
    event: (event) => void (event.name === "engine" ? onEngine(String(event.data.state)) : onEvent(event)),
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

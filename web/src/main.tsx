import { render } from "preact";
import { App } from "./screens/App";
import { listenForKeys } from "./shortcuts";
import { start } from "./state/boot";
import "./state/presence";

render(<App />, document.getElementById("page")!);
listenForKeys();
start();

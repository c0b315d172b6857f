import { render } from "preact";

render(<h1>acestep</h1>, document.getElementById("page")!);

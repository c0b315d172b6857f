import { DeviceBar } from "../parts/DeviceBar";
import { DropAnywhere } from "../parts/DropAnywhere";
import { Notices } from "../parts/Notices";
import { PlayerBar } from "../parts/PlayerBar";
import { screen } from "../state/look";
import { params } from "../state/params";
import { connection } from "../state/server";
import { t } from "../state/text";
import { Create } from "./Create";
import { Dialogs } from "./Dialogs";
import { ConnectionBar, Header } from "./Header";
import { Library } from "./Library";
import { Models } from "./Models";
import { SystemScreen } from "./System";

const screens = { create: Create, library: Library, models: Models, system: SystemScreen };

export function App() {
  const Shown = screens[screen.value];
  return (
    <>
      <Header />
      <ConnectionBar />
      <DeviceBar />
      <main>
        {params.value ? (
          <Shown key={screen.value} />
        ) : (
          <div class="waiting">
            <h1 id="main" tabIndex={-1}>
              {t(connection.value === "locked" ? "server.locked" : "server.connecting")}
            </h1>
            <p class="quiet">{t("server.waiting")}</p>
          </div>
        )}
      </main>
      <PlayerBar />
      <Notices />
      <DropAnywhere />
      <Dialogs />
    </>
  );
}

/** What has become of the card, when something has: what happened, what it means, and what can be done. */
import { useEffect, useRef } from "preact/hooks";
import type { DeviceState } from "../api/types";
import { device, reopenDevice, reopening } from "../state/device";
import { online } from "../state/server";
import { may } from "../state/session";
import { t } from "../state/text";
import { Button } from "./Button";
import { Icon } from "./Icon";

/** Messages leave room for what is as tall as this. */
function useRoom() {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const root = document.documentElement.style;
    const size = new ResizeObserver(() => root.setProperty("--bar", `${box.current?.offsetHeight ?? 0}px`));
    size.observe(box.current!);
    return () => {
      size.disconnect();
      root.removeProperty("--bar");
    };
  }, []);
  return box;
}

function Bad({ now }: { now: DeviceState }) {
  const why = now.state === "fallback" ? (now.problem ?? now.cause) : now.cause;
  return (
    <div class="device-bar" ref={useRoom()}>
      <Icon name="alert" size={20} />
      <div class="grow">
        <p>
          <strong>{t(now.state === "lost" ? "device.lost" : "device.fallback")}</strong>{" "}
          {t(now.state === "lost" ? "device.lost.next" : "device.fallback.next")}
        </p>
        {why && (
          <p class="help" lang="en">
            {why}
          </p>
        )}
      </div>
      {may("admin") && (
        <Button icon="rotate" disabled={reopening.value} onClick={() => void reopenDevice()}>
          {t(reopening.value ? "device.opening" : "device.reopen")}
        </Button>
      )}
    </div>
  );
}

/** Always there, or screen readers would not say what appears in it. */
export const DeviceBar = () => (
  <div role="status">
    {device.value && device.value.state !== "ok" && online.value && <Bad now={device.value} />}
  </div>
);

/** Icons of lucide, inlined: the outline alone, in the colour of the text. */
import arrowDown from "lucide-static/icons/arrow-down.svg";
import arrowUp from "lucide-static/icons/arrow-up.svg";
import audioLines from "lucide-static/icons/audio-lines.svg";
import blend from "lucide-static/icons/blend.svg";
import check from "lucide-static/icons/check.svg";
import chevronDown from "lucide-static/icons/chevron-down.svg";
import circleHelp from "lucide-static/icons/circle-help.svg";
import copy from "lucide-static/icons/copy.svg";
import cpu from "lucide-static/icons/cpu.svg";
import dices from "lucide-static/icons/dices.svg";
import disc from "lucide-static/icons/disc-3.svg";
import download from "lucide-static/icons/download.svg";
import ellipsis from "lucide-static/icons/ellipsis.svg";
import fileJson from "lucide-static/icons/file-json.svg";
import folderOpen from "lucide-static/icons/folder-open.svg";
import guitar from "lucide-static/icons/guitar.svg";
import heart from "lucide-static/icons/heart.svg";
import info from "lucide-static/icons/info.svg";
import key from "lucide-static/icons/key-round.svg";
import layers from "lucide-static/icons/layers.svg";
import library from "lucide-static/icons/library.svg";
import micVocal from "lucide-static/icons/mic-vocal.svg";
import monitor from "lucide-static/icons/monitor.svg";
import moon from "lucide-static/icons/moon.svg";
import music from "lucide-static/icons/music.svg";
import pack from "lucide-static/icons/package.svg";
import pause from "lucide-static/icons/pause.svg";
import pencil from "lucide-static/icons/pencil.svg";
import play from "lucide-static/icons/play.svg";
import plus from "lucide-static/icons/plus.svg";
import rotate from "lucide-static/icons/rotate-ccw.svg";
import save from "lucide-static/icons/save.svg";
import scissors from "lucide-static/icons/scissors.svg";
import search from "lucide-static/icons/search.svg";
import skipBack from "lucide-static/icons/skip-back.svg";
import skipForward from "lucide-static/icons/skip-forward.svg";
import sparkles from "lucide-static/icons/sparkles.svg";
import sun from "lucide-static/icons/sun.svg";
import trash from "lucide-static/icons/trash-2.svg";
import alert from "lucide-static/icons/triangle-alert.svg";
import upload from "lucide-static/icons/upload.svg";
import volume from "lucide-static/icons/volume-2.svg";
import volumeOff from "lucide-static/icons/volume-x.svg";
import wand from "lucide-static/icons/wand-sparkles.svg";
import cross from "lucide-static/icons/x.svg";

const files = {
  alert, arrowDown, arrowUp, audioLines, blend, check, chevronDown, circleHelp, copy, cpu, cross, dices, disc,
  download, ellipsis, fileJson, folderOpen, guitar, heart, info, key, layers, library, micVocal, monitor,
  moon, music, pack, pause, pencil, play, plus, rotate, save, scissors, search, skipBack, skipForward,
  sparkles, sun, trash, upload, volume, volumeOff, wand,
};

export type IconName = keyof typeof files;

const outlines = Object.fromEntries(
  Object.entries(files).map(([name, text]) => [name, text.replace(/^[\s\S]*?<svg[^>]*>|<\/svg>\s*$/g, "").trim()]),
);

export function Icon({ name, size = 18, filled = false }: { name: IconName; size?: number; filled?: boolean }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill={filled ? "currentColor" : "none"}
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      dangerouslySetInnerHTML={{ __html: outlines[name]! }}
    />
  );
}

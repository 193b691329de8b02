// One terminal on the screen: xterm.js on one side, the socket of the server's terminal on the other.

import { keepOpen } from "./api.js";

const PIECE = 16384; // bytes of a paste in one frame
const FINAL = { 4404: "This terminal was closed.", 4429: "This terminal is open in too many windows." };

const colours = () => getComputedStyle(document.documentElement);

export class Screen {
  constructor(place, terminal, { again, note }) {
    this.place = place;
    this.note = note;
    this.again = again;
    this.muted = true; // what a replay asks the terminal is not answered once more
    this.replay = 0;
    this.ended = "";
    this.term = new window.Terminal({
      convertEol: terminal.kind !== "shell",
      disableStdin: terminal.kind !== "shell",
      screenReaderMode: false,
      scrollback: 5000,
      fontSize: 14,
      fontFamily: "ui-monospace, 'DejaVu Sans Mono', monospace",
      theme: { background: colours().getPropertyValue("--screen").trim(), foreground: "#e8e8e8" },
      linkHandler: { activate: () => {} }, // a node's text leads nowhere
    });
    this.term.attachCustomKeyEventHandler((event) => this.key(event));
    this.term.onData((data) => this.type(new TextEncoder().encode(data)));
    this.term.onBinary((data) => this.type(Uint8Array.from(data, (letter) => letter.charCodeAt(0))));
    this.title = terminal.title;
    this.observer = new ResizeObserver(() => this.fit());
    this.socket = keepOpen(`/terminals/${terminal.id}`, {
      message: (data) => this.heard(data),
      lost: () => note("The connection is lost; trying again. The shell goes on."),
      stop: (code) => { if (FINAL[code]) note(FINAL[code]); return Boolean(FINAL[code]); },
    });
  }

  show(focus) {
    if (!this.term.element) {
      this.term.open(this.place);
      this.term.textarea.setAttribute("aria-label", `Terminal ${this.title}`);
      this.observer.observe(this.place);
    }
    this.fit();
    if (focus) this.term.focus();
    if (this.ended) this.tellEnd();
  }

  heard(data) {
    if (typeof data !== "string") {
      const bytes = new Uint8Array(data);
      this.term.write(bytes, () => {
        this.socket.send(JSON.stringify({ seen: bytes.length }));
        this.replay -= bytes.length;
        if (this.replay <= 0) this.muted = false;
      });
      return;
    }
    const said = JSON.parse(data);
    if (said.ended !== undefined) {
      this.ended = said.ended;
      this.tellEnd();
    } else {
      this.term.reset();
      this.muted = said.replay > 0;
      this.replay = said.replay;
      this.size = "";
      this.note("");
      this.fit();
    }
  }

  tellEnd() {
    this.note(`${this.title}: ${this.ended}. Enter opens another one.`);
  }

  type(bytes) {
    if (this.ended || this.muted) return;
    for (let at = 0; at < bytes.length; at += PIECE) this.socket.send(bytes.subarray(at, at + PIECE));
  }

  key(event) {
    if (event.type !== "keydown") return true;
    if (event.key === "Escape" && event.ctrlKey && event.shiftKey) {
      document.querySelector('[role="tab"][aria-selected="true"]')?.focus();
      return false;
    }
    if (event.key === "Enter" && this.ended) {
      this.again();
      return false;
    }
    return true;
  }

  // As many rows and columns as fit; the width of a letter is that of the screen by its columns.
  fit() {
    const screen = this.term.element?.querySelector(".xterm-screen");
    if (!screen || !this.place.clientWidth || !screen.clientWidth) return;
    const columns = Math.max(20, Math.floor((this.place.clientWidth - 16) / (screen.clientWidth / this.term.cols)));
    const rows = Math.max(5, Math.floor(this.place.clientHeight / (screen.clientHeight / this.term.rows)));
    const size = `${rows} ${columns}`;
    if (size === this.size) return;
    this.size = size;
    this.term.resize(columns, rows);
    this.socket.send(JSON.stringify({ size: [rows, columns] }));
  }

  close() {
    this.observer.disconnect();
    this.socket.close();
    this.term.dispose();
  }
}

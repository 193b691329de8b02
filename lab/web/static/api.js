// Asks the server. Every change carries the word that the server gave this page, beside the cookie.

let csrf = "";

export class Refused extends Error {
  constructor(error) {
    super(error.message);
    this.error = error;
  }
}

export async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", "X-Rackling-Csrf": csrf },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused({ message: "The server does not answer", evidence: [], hint: "lab web" });
  }
  if (answer.status === 401) location.reload(); // shows how to sign in again
  if (answer.status === 204) return null;
  const type = answer.headers.get("content-type") ?? "";
  const found = type.startsWith("application/json") ? await answer.json() : {};
  if (!answer.ok) throw new Refused(found.error ?? { message: `refused (${answer.status})`, evidence: [], hint: "" });
  return found;
}

export async function seat() {
  const found = await ask("GET", "/api/seat");
  csrf = found.csrf;
  return found;
}

const address = (path) => `ws://${location.host}${path}`;
const AGAIN = [500, 1000, 2000, 4000];

// Keeps a socket open: connects again when it is lost, until `stop` says that the reason is final.
export function keepOpen(path, { open, message, lost, stop }) {
  let tries = 0;
  let socket;
  let over = false;
  function connect() {
    socket = new WebSocket(address(path));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { tries = 0; open?.(); };
    socket.onmessage = (event) => message(event.data);
    socket.onclose = (event) => {
      if (over || stop?.(event.code)) return;
      lost?.();
      setTimeout(() => over || connect(), AGAIN[Math.min(tries++, AGAIN.length - 1)]);
    };
  }
  connect();
  return {
    send: (data) => socket.readyState === WebSocket.OPEN && socket.send(data),
    close: () => { over = true; socket.close(); },
  };
}

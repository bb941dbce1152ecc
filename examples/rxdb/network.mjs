// A device's network, for the story and the tests: it is there, or it is not.
import WebSocket from 'ws';

export class Network {
  requests = 0;
  #isOnline = true;
  #sockets = new Set();

  // `fetch` and `address` (of a WebSocket) say where the node is; by default, where it was said to be.
  constructor({ fetch = globalThis.fetch, address = url => url } = {}) {
    this.fetch = (...request) => {
      if (!this.#isOnline) return Promise.reject(new Error('no network'));
      this.requests += 1;
      return fetch(...request);
    };
    const network = this;
    this.WebSocket = class extends WebSocket {
      constructor(url, protocol) {
        super(network.#isOnline ? address(url) : 'ws://127.0.0.1:1', protocol); // where nobody listens
        network.#sockets.add(this);
        this.once('close', () => network.#sockets.delete(this));
      }
    };
  }

  get isOnline() {
    return this.#isOnline;
  }

  set isOnline(is) {
    this.#isOnline = is;
    if (!is) for (const socket of this.#sockets) socket.terminate();
  }
}

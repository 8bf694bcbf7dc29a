// Results on this device, in IndexedDB. An origin may have several sites, so the name has the path of this one.

const NAME = `herbage ${new URL("./", location).pathname}`;

export class Database {
  async open() {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("results", { keyPath: "key" });
      request.result.createObjectStore("models", { keyPath: "digest" });
    };
    this.opened = await finished(request);
    return this;
  }

  async all(store) {
    return finished(this.opened.transaction(store).objectStore(store).getAll());
  }

  async put(store, value) {
    return this.change(store, (objects) => objects.put(value));
  }

  async remove(store, key) {
    return this.change(store, (objects) => objects.delete(key));
  }

  async clear(store) {
    return this.change(store, (objects) => objects.clear());
  }

  /** Resolves when the change is on the disk, as far as the browser knows. */
  async change(store, action) {
    const transaction = this.opened.transaction(store, "readwrite");
    action(transaction.objectStore(store));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }
}

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

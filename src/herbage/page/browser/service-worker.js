// Stores all files of the site, so that it works without a network, and serves them with the headers that isolate it.

const LIST = "site.js";
importScripts(LIST);

const PREFIX = `herbage ${registration.scope} `;
const CACHE = PREFIX + self.site.version;
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "Content-Security-Policy": "frame-ancestors 'none'", // in addition to the policy of the page, which cannot have it
}; // the first two allow threads

self.addEventListener("install", (event) => event.waitUntil(store()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", ({ data }) => data === "activate" && self.skipWaiting());
self.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const scope = new URL(registration.scope);
  if (event.request.method !== "GET" || origin !== scope.origin || !pathname.startsWith(scope.pathname)) return;
  const name = decodeURI(pathname.slice(scope.pathname.length)) || "index.html";
  if (name === LIST || name in self.site.files) event.respondWith(answer(event.request, name)); // others are of other sites
});

/** Store every file of this version; if one is not the listed one, the version that is there stays. */
async function store() {
  const cache = await caches.open(CACHE);
  const list = new Response(`self.site = ${JSON.stringify(self.site)};`, { headers: { "Content-Type": "text/javascript" } });
  await cache.put(LIST, list); // the worker of the page imports it
  const files = Object.entries(self.site.files);
  const total = files.reduce((sum, [, { bytes }]) => sum + bytes, 0);
  let stored = 0;
  for (const [name, { bytes, integrity }] of files) {
    const request = new Request(name, { integrity, cache: "no-cache" });
    if (!(await cache.match(name))) await cache.put(name, (await earlier(name, integrity)) ?? (await fetched(request)));
    stored += bytes;
    await tell({ stored: stored / total });
  }
}

async function fetched(request) {
  const response = await fetch(request);
  if (!response.ok) throw new Error(`${request.url}: ${response.status}`);
  return response;
}

/** The same file of an earlier version, which need not be loaded again. */
async function earlier(name, integrity) {
  for (const key of await caches.keys()) {
    const response = key.startsWith(PREFIX) && key !== CACHE && (await (await caches.open(key)).match(name));
    if (!response) continue;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer()));
    if (`sha256-${btoa(String.fromCharCode(...digest))}` === integrity) return response;
  }
}

async function tell(message) {
  for (const client of await clients.matchAll({ includeUncontrolled: true })) client.postMessage(message);
}

async function takeOver() {
  for (const key of await caches.keys()) if (key.startsWith(PREFIX) && key !== CACHE) await caches.delete(key);
  await clients.claim();
}

async function answer(request, name) {
  const response = (await caches.match(name, { cacheName: CACHE })) ?? (await fetch(request));
  const headers = new Headers(response.headers);
  for (const [key, value] of Object.entries(HEADERS)) headers.set(key, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

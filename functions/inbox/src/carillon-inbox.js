// <carillon-inbox>: a bell with the number of unread notifications, and the list behind it, for any web page. One file,
// no dependency. docs/inbox.md shows how to use it. Reads and marks the feed at /v1/inbox with a recipient token.
(() => {
  "use strict";
  if (customElements.get("carillon-inbox")) return;

  // Where the script came from is where the feed is, unless the attribute `api` says otherwise.
  const home = document.currentScript ? new URL(document.currentScript.src, location.href).origin : location.origin;

  const TEXTS = {
    bell: "Notifications", unread: "{n} unread", readAll: "Mark all as read", empty: "Nothing here yet",
    none: "Nothing fits this filter", more: "Show more", read: "Mark as read", reread: "Mark as unread",
    archive: "Archive", system: "System", failed: "The notifications could not be loaded. They will be tried again.",
    expired: "Your session is over. Load the page again.", all: "All", onlyUnread: "Unread", anyOrigin: "Any origin",
    user: "For me", anyPriority: "Any priority", low: "Low", normal: "Normal", high: "High", critical: "Critical",
    anyType: "Any kind", filters: "Filters", now: "just now",
  };

  const STYLE = `
:host{--_a:var(--carillon-accent,#2457d6);--_b:var(--carillon-background,#fff);--_t:var(--carillon-text,#1b1f27);
--_m:var(--carillon-muted,#5b6472);--_l:var(--carillon-border,#d7dbe2);--_u:var(--carillon-unread,#eef3ff);
--_s:var(--carillon-system,#8a4b00);--_d:var(--carillon-alert,#b3261e);display:inline-block;position:relative;
font:var(--carillon-font,400 15px/1.4 system-ui,sans-serif);color:var(--_t)}
@media(prefers-color-scheme:dark){:host{--_a:var(--carillon-accent,#8fb2ff);--_b:var(--carillon-background,#181b21);
--_t:var(--carillon-text,#eceff4);--_m:var(--carillon-muted,#a3acb9);--_l:var(--carillon-border,#363c47);
--_u:var(--carillon-unread,#222a3a);--_s:var(--carillon-system,#ffb95c);--_d:var(--carillon-alert,#ff8a80)}}
:host([hidden]),[hidden]{display:none!important}
button,select{font:inherit;color:inherit;background:none;border:0;border-radius:6px;cursor:pointer;padding:4px 8px}
button:hover{background:var(--_u)}button:disabled{opacity:.5;cursor:default}
:focus-visible{outline:2px solid var(--_a);outline-offset:1px}
.bell{position:relative;padding:8px;line-height:0;color:var(--carillon-bell,inherit)}
.count{position:absolute;top:0;right:0;min-width:18px;padding:0 4px;box-sizing:border-box;border-radius:9px;
background:var(--_d);color:var(--_b);font:600 11px/18px system-ui,sans-serif;text-align:center}
.quiet{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.panel{position:absolute;z-index:1000;right:0;top:calc(100% + 6px);width:min(var(--carillon-width,380px),calc(100vw - 24px));
max-height:min(70vh,560px);display:flex;flex-direction:column;text-align:start;background:var(--_b);border:1px solid var(--_l);
border-radius:var(--carillon-radius,10px);box-shadow:0 8px 28px #0003}
:host([align=left]) .panel{right:auto;left:0}
.head,.filters{display:flex;gap:6px;align-items:center;padding:8px 10px;border-bottom:1px solid var(--_l);flex-wrap:wrap}
h2{font-size:1em;margin:0;flex:1}
.filters select,.filters button{border:1px solid var(--_l);font-size:.85em;max-width:46%}
button[aria-pressed=true]{background:var(--_a);color:var(--_b)}
ul{list-style:none;margin:0;padding:0;overflow:auto;flex:1}
li{display:flex;border-bottom:1px solid var(--_l);border-left:3px solid transparent}
li.new{background:var(--_u);border-left-color:var(--_a)}
li.high{border-left-color:var(--_s)}li.critical{border-left-color:var(--_d)}
.open{flex:1;min-width:0;text-align:left;border-radius:0;padding:8px 10px;overflow-wrap:anywhere}
.open b{display:block;font-weight:500}.new .open b{font-weight:700}
.body{display:block;color:var(--_m);white-space:pre-line}
.facts{display:flex;gap:8px;font-size:.8em;color:var(--_m)}
.badge{color:var(--_s);font-weight:600}.badge.critical{color:var(--_d)}
.do{display:flex;flex-direction:column;justify-content:center}
.do button{line-height:0;padding:6px;color:var(--_m)}
p{margin:0;padding:16px;color:var(--_m);text-align:center}
.foot{text-align:center;padding:4px;border-top:1px solid var(--_l)}`;

  const PATHS = {
    bell: "M12 3a6 6 0 0 0-6 6v4l-2 4h16l-2-4V9a6 6 0 0 0-6-6zM10 20a2 2 0 0 0 4 0",
    check: "M5 13l4 4L19 7", dot: "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8", box: "M4 5h16v4H4zM6 9v10h12V9M10 13h4",
  };

  // An element with properties, attributes (those with a hyphen, and role) and children. Data is text, never HTML.
  const make = (name, set = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(set)) {
      if (key.includes("-") || key === "role" || key === "part") element.setAttribute(key, value);
      else element[key] = value;
    }
    element.append(...children);
    return element;
  };

  const icon = (name, size) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const set = { width: size, height: size, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor",
      "stroke-width": 2, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" };
    for (const [key, value] of Object.entries(set)) svg.setAttribute(key, value);
    path.setAttribute("d", PATHS[name]);
    svg.append(path);
    return svg;
  };

  // How long to wait before asking again: the interval; twice and four times as long when nothing has changed for 10 and
  // 30 answers; after failures longer each time, up to five minutes.
  const pause = (interval_ms, unchanged, failures) => {
    if (failures) return Math.min(interval_ms * 2 ** failures, Math.max(300000, interval_ms));
    return interval_ms * (unchanged >= 30 ? 4 : unchanged >= 10 ? 2 : 1);
  };

  // A link of the tenant's own making is followed if it leads to a page; `javascript:` and the like do not.
  const page = (url) => {
    try {
      const to = new URL(url, location.href);
      return ["https:", "http:"].includes(to.protocol) ? to.href : null;
    } catch {
      return null;
    }
  };

  class CarillonInbox extends HTMLElement {
    static observedAttributes = ["token", "api", "interval"];
    static pause = pause;

    #texts = TEXTS;
    #token = "";
    #tag = "";
    #timer = 0;
    #turn = 0;
    #unchanged = 0;
    #failures = 0;
    #recent = [];
    #items = [];
    #cursor = null;
    #types = new Set();
    #filter = {};
    #expanded = false;
    #trouble = "";
    #at = {};
    #refresh = null;

    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
    }

    get token() { return this.#token; }
    set token(value) {
      if (value === this.#token) return;
      this.#token = value || "";
      this.#tag = "";
      this.#failures = 0;
      this.#trouble = "";
      if (this.isConnected) this.#now();
    }

    // A function that answers a token, or a promise of one: asked when there is none yet, and when one is over.
    get refresh() { return this.#refresh; }
    set refresh(value) {
      this.#refresh = value;
      if (this.isConnected && !this.#token) this.#now();
    }

    get texts() { return this.#texts; }
    set texts(value) {
      this.#texts = { ...TEXTS, ...value };
      if (this.isConnected) this.#build();
    }

    get unreadCount() { return this.#at.unread || 0; }

    attributeChangedCallback(name, _, value) {
      if (name === "token") this.token = value;
      else if (this.isConnected) this.#now();
    }

    connectedCallback() {
      // A property that was set before the script was there hides the one of the class.
      for (const name of ["token", "texts", "refresh"]) {
        if (Object.hasOwn(this, name)) {
          const value = this[name];
          delete this[name];
          this[name] = value;
        }
      }
      this.#build();
      document.addEventListener("visibilitychange", this.#seen);
      document.addEventListener("pointerdown", this.#outside);
      this.#now();
    }

    disconnectedCallback() {
      clearTimeout(this.#timer);
      this.#turn += 1;
      document.removeEventListener("visibilitychange", this.#seen);
      document.removeEventListener("pointerdown", this.#outside);
    }

    #seen = () => (document.hidden ? clearTimeout(this.#timer) : this.#now());

    #outside = (event) => {
      if (!event.composedPath().includes(this)) this.#show(false);
    };

    #now() {
      clearTimeout(this.#timer);
      this.#poll();
    }

    // Asks for the newest, then sets the time of the next asking. A hidden page asks nothing.
    async #poll() {
      if (document.hidden || !this.isConnected) return;
      const turn = ++this.#turn;
      try {
        const answer = await this.#call("GET", "/v1/inbox/recent", this.#tag && { "if-none-match": this.#tag });
        if (turn !== this.#turn) return;
        this.#failures = 0;
        this.#trouble = "";
        if (answer.status === 304) {
          this.#unchanged += 1;
        } else {
          this.#unchanged = 0;
          this.#tag = answer.headers.get("etag") || "";
          const { items, unread_count } = await answer.json();
          this.#recent = items;
          this.#at.unread = unread_count;
          await this.#reload();
          this.dispatchEvent(new CustomEvent("carillon-change", { detail: { unread_count } }));
        }
      } catch (error) {
        if (turn !== this.#turn) return;
        this.#failures += 1;
        this.#trouble = error.status === 401 ? this.#texts.expired : this.#texts.failed;
      }
      this.#draw();
      // A token that is over stays so: the next one starts the asking again.
      if (this.#trouble === this.#texts.expired) return;
      const interval_ms = Math.max(5, Number(this.getAttribute("interval")) || 30) * 1000;
      this.#timer = setTimeout(() => this.#poll(), pause(interval_ms, this.#unchanged, this.#failures));
    }

    async #call(method, path, headers, again = true) {
      if (!this.#token && this.#refresh) this.#token = await this.#refresh();
      if (!this.#token) throw Object.assign(new Error("no token"), { status: 401 });
      const api = (this.getAttribute("api") || home).replace(/\/+$/, "");
      const answer = await fetch(api + path, {
        method, cache: "no-store", credentials: "omit",
        headers: { ...headers, authorization: `Bearer ${this.#token}` },
      });
      if (answer.status === 401 && again && this.#refresh) {
        this.#token = "";
        return this.#call(method, path, headers, false);
      }
      if (answer.status === 401) this.dispatchEvent(new CustomEvent("carillon-expired", { bubbles: true, composed: true }));
      if (!answer.ok && answer.status !== 304) throw Object.assign(new Error(`answer ${answer.status}`), { status: answer.status });
      return answer;
    }

    // The list that is shown: the newest, or what a filter and "show more" ask for.
    async #reload(more = false) {
      if (!this.#expanded && !Object.keys(this.#filter).length) {
        [this.#items, this.#cursor] = [this.#recent, this.#recent.length === 10 ? "" : null];
      } else {
        const items = more ? [...this.#items] : [];
        let cursor = more ? this.#cursor : "";
        const wanted = items.length + (more ? 20 : Math.max(20, this.#items.length));
        // A page may be short, even empty: the list ends where there is no cursor.
        for (let pages = 0; pages < 5 && cursor !== null && items.length < wanted; pages += 1) {
          const query = new URLSearchParams({ ...this.#filter, limit: Math.min(wanted - items.length, 100) });
          if (cursor) query.set("cursor", cursor);
          const found = await (await this.#call("GET", `/v1/inbox?${query}`)).json();
          items.push(...found.items);
          cursor = found.next_cursor;
        }
        [this.#items, this.#cursor] = [items, cursor];
      }
      for (const item of [...this.#recent, ...this.#items]) this.#types.add(item.type);
    }

    // Does something and shows what came of it.
    async #do(work) {
      try {
        await work();
        this.#trouble = "";
      } catch (error) {
        this.#trouble = error.status === 401 ? this.#texts.expired : this.#texts.failed;
      }
      this.#draw();
    }

    #mark(item, how) {
      return this.#do(async () => {
        const marked = await (await this.#call("POST", `/v1/inbox/${item.id}/${how}`)).json();
        const put = (list) => list.map((one) => (one.id === item.id ? marked : one)).filter((one) => !one.archived_at);
        [this.#items, this.#recent] = [put(this.#items), put(this.#recent)];
        this.#now();
      });
    }

    #open(item) {
      const event = new CustomEvent("carillon-open", { detail: item, bubbles: true, composed: true, cancelable: true });
      const to = this.dispatchEvent(event) && item.action_url && page(item.action_url);
      const marked = item.read_at ? Promise.resolve() : this.#mark(item, "read");
      if (to) marked.then(() => location.assign(to));
    }

    #narrow(name, value) {
      if (value) this.#filter[name] = value;
      else delete this.#filter[name];
      this.#expanded = false;
      this.#items = [];
      this.#do(() => this.#reload());
    }

    #show(open) {
      const { panel, bell } = this.#at;
      if (!panel || panel.hidden !== open) return;
      const inside = this.shadowRoot.activeElement;
      panel.hidden = !open;
      bell.setAttribute("aria-expanded", open);
      if (open) {
        this.#now();
        panel.focus();
      } else if (inside) {
        bell.focus();
      }
    }

    #keys(event) {
      const { list } = this.#at;
      const items = [...list.querySelectorAll(".open")];
      const at = items.indexOf(this.shadowRoot.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: Math.max(at - 1, 0), Home: 0, End: items.length - 1 }[event.key];
      if (event.key === "Escape") this.#show(false);
      else if (to === undefined || event.target.localName === "select") return;
      else items[Math.min(to, items.length - 1)]?.focus();
      event.preventDefault();
    }

    // What stays: bell, head, filters, list, foot. #draw fills it.
    #build() {
      const t = this.#texts;
      const choice = (name, label, words) => {
        const select = make("select", { "aria-label": label, onchange: () => this.#narrow(name, select.value) });
        select.append(make("option", { value: "" }, label), ...words.map((word) => make("option", { value: word }, t[word] || word)));
        return select;
      };
      const count = make("span", { className: "count", part: "count", hidden: true, "aria-hidden": "true" });
      const status = make("span", { className: "quiet", role: "status" });
      const bell = make("button", { type: "button", className: "bell", part: "bell", "aria-label": t.bell,
        "aria-haspopup": "dialog", "aria-expanded": "false", onclick: () => this.#show(panel.hidden) }, icon("bell", 22), count);
      const all = make("button", { type: "button", onclick: () => this.#do(async () => {
        await this.#call("POST", "/v1/inbox/read-all");
        this.#now();
      }) }, t.readAll);
      const unread = make("button", { type: "button", "aria-pressed": "false", onclick: () => {
        const on = unread.getAttribute("aria-pressed") !== "true";
        unread.setAttribute("aria-pressed", on);
        this.#narrow("unread", on && "true");
      } }, t.onlyUnread);
      const types = choice("type", t.anyType, []);
      const filters = make("div", { className: "filters", role: "group", "aria-label": t.filters }, unread,
        choice("origin", t.anyOrigin, ["user", "system"]),
        choice("priority", t.anyPriority, ["low", "normal", "high", "critical"]), types);
      const list = make("ul", { part: "list", "aria-label": t.bell });
      const note = make("p", { role: "status" });
      const more = make("button", { type: "button", onclick: () => {
        const further = this.#expanded || Object.keys(this.#filter).length > 0;
        this.#expanded = true;
        this.#do(() => this.#reload(further));
      } }, t.more);
      const foot = make("div", { className: "foot" }, more);
      const panel = make("div", { className: "panel", part: "panel", role: "dialog", "aria-label": t.bell, tabIndex: -1,
        hidden: true, onkeydown: (event) => this.#keys(event) },
        make("div", { className: "head" }, make("h2", {}, t.bell), all), filters, list, note, foot);
      this.shadowRoot.replaceChildren(bell, status, panel);
      this.#at = { ...this.#at, count, status, bell, all, types, list, note, foot, panel };
      this.#draw();
    }

    #draw() {
      const { count, status, bell, all, types, list, note, foot, unread = 0 } = this.#at;
      if (!list) return;
      const t = this.#texts;
      const said = unread ? t.unread.replace("{n}", unread) : "";
      count.hidden = !unread;
      count.textContent = unread > 99 ? "99+" : unread;
      if (status.textContent !== said) status.textContent = said;
      bell.setAttribute("aria-label", said ? `${t.bell}, ${said}` : t.bell);
      all.disabled = !unread;
      for (const type of [...this.#types].slice(types.length - 1)) types.append(make("option", { value: type }, type));
      const focused = this.shadowRoot.activeElement?.dataset.id;
      list.replaceChildren(...this.#items.map((item) => this.#row(item)));
      if (focused) [...list.querySelectorAll("[data-id]")].find((one) => one.dataset.id === focused)?.focus();
      const filtered = Object.keys(this.#filter).length > 0;
      note.textContent = this.#trouble || (this.#items.length ? "" : filtered ? t.none : t.empty);
      note.hidden = !note.textContent;
      foot.hidden = this.#cursor === null;
    }

    #row(item) {
      const t = this.#texts;
      const fresh = !item.read_at;
      const facts = make("span", { className: "facts" }, make("time", { dateTime: item.created_at }, this.#ago(item.created_at)));
      if (item.origin === "system") facts.append(make("span", { className: "badge", part: "system" }, t.system));
      if (["high", "critical"].includes(item.priority)) facts.append(make("span", { className: `badge ${item.priority}` }, t[item.priority]));
      const open = make("button", { type: "button", className: "open", onclick: () => this.#open(item) },
        make("b", {}, item.title), make("span", { className: "body" }, item.body), facts);
      const tool = (name, how, label) => {
        const button = make("button", { type: "button", title: label, "aria-label": `${label}: ${item.title}`,
          onclick: () => this.#mark(item, how) }, icon(name, 16));
        button.dataset.id = `${how} ${item.id}`;
        return button;
      };
      open.dataset.id = item.id;
      if (fresh) open.append(make("span", { className: "quiet" }, t.onlyUnread));
      const row = make("li", { className: `${item.priority}${fresh ? " new" : ""}`, part: fresh ? "item unread" : "item" }, open);
      row.append(make("div", { className: "do" },
        fresh ? tool("check", "read", t.read) : tool("dot", "unread", t.reread), tool("box", "archive", t.archive)));
      return row;
    }

    #ago(text) {
      const language = this.closest("[lang]")?.lang || undefined;
      const minutes = Math.round((Date.parse(text) - Date.now()) / 60000);
      if (minutes > -1) return this.#texts.now;
      const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
      if (minutes > -60) return relative.format(minutes, "minute");
      if (minutes > -1440) return relative.format(Math.round(minutes / 60), "hour");
      if (minutes > -10080) return relative.format(Math.round(minutes / 1440), "day");
      return new Date(text).toLocaleDateString(language);
    }
  }

  customElements.define("carillon-inbox", CarillonInbox);
})();

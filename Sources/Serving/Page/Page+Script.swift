extension Page {
  /// Plain JavaScript. Everything that a model or a server says becomes text, never markup.
  static let script = #"""
    "use strict";
    const at = (id) => document.getElementById(id);
    const store = {
      get(name, other) { try { return JSON.parse(localStorage.getItem("drydock." + name)) ?? other; } catch { return other; } },
      set(name, value) { try { localStorage.setItem("drydock." + name, JSON.stringify(value)); } catch { /* a browser that keeps nothing */ } },
    };
    let messages = store.get("conversation", []);
    let key = "";
    let running = null;

    function headers(secret) {
      const result = { "Content-Type": "application/json" };
      if (secret) result.Authorization = "Bearer " + secret;
      return result;
    }
    async function problem(response) {
      const text = await response.text();
      try { return JSON.parse(text).error.message; } catch { return response.status + " " + text.slice(0, 200); }
    }

    function show(role, text) {
      const article = document.createElement("article");
      article.className = role;
      const title = document.createElement("h2");
      title.textContent = role === "user" ? "You" : role === "assistant" ? "Model" : "Error";
      const content = document.createElement("div");
      content.textContent = text;
      article.append(title, content);
      at("conversation").append(article);
      scrollDown();
      return content;
    }
    function scrollDown() { const place = at("conversation"); place.scrollTop = place.scrollHeight; }
    function showAll() {
      at("conversation").replaceChildren();
      for (const message of messages) show(message.role, message.content);
    }

    async function loadModels() {
      const response = await fetch("v1/models", { headers: headers(key) });
      at("key-row").hidden = response.status !== 401;
      if (!response.ok) { at("status").textContent = await problem(response); return; }
      at("status").textContent = "";
      const names = (await response.json()).data.map((model) => model.id);
      at("model").replaceChildren(...names.map((name) => new Option(name, name)));
    }

    // Events of a stream as they come; comments, which keep it alive, are left out.
    async function* events(response) {
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        rest += value;
        for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
          const event = rest.slice(0, end);
          rest = rest.slice(end + 2);
          if (!event.startsWith("data: ")) continue;
          if (event === "data: [DONE]") return;
          yield JSON.parse(event.slice(6));
        }
      }
    }

    function request() {
      const system = at("system").value.trim();
      const body = {
        model: at("model").value, stream: true, stream_options: { include_usage: true },
        messages: (system ? [{ role: "system", content: system }] : []).concat(messages),
      };
      if (at("temperature").value !== "") body.temperature = Number(at("temperature").value);
      if (at("tokens").value !== "") body.max_tokens = Number(at("tokens").value);
      return body;
    }

    async function send(text) {
      const mine = messages;
      mine.push({ role: "user", content: text });
      store.set("conversation", messages);
      show("user", text);
      running = new AbortController();
      at("send").disabled = true;
      at("stop").disabled = false;
      at("conversation").setAttribute("aria-busy", "true");
      at("status").textContent = "Reading …";
      const answer = { role: "assistant", content: "" };
      let place = null, first = 0, last = 0, count = 0, weights = "", reason = "";
      try {
        const response = await fetch("v1/chat/completions", { method: "POST", headers: headers(key), body: JSON.stringify(request()), signal: running.signal });
        if (!response.ok) throw new Error(await problem(response));
        for await (const chunk of events(response)) {
          if (chunk.error) throw new Error(chunk.error.message);
          weights = chunk.system_fingerprint || weights;
          if (chunk.usage) count = chunk.usage.completion_tokens;
          const choice = (chunk.choices || [])[0];
          if (!choice) continue;
          reason = choice.finish_reason || reason;
          const piece = (choice.delta || {}).content;
          if (!piece) continue;
          last = performance.now();
          first = first || last;
          place = place || show("assistant", "");
          answer.content += piece;
          place.textContent = answer.content;
          scrollDown();
        }
        const speed = count > 1 && last > first ? ((count - 1) * 1000 / (last - first)).toFixed(1) + " tokens/s, " : "";
        at("status").textContent = count + " tokens, " + speed + "weights " + weights + (reason === "length" ? ", cut at its length" : "");
      } catch (error) {
        if (error.name === "AbortError") at("status").textContent = "Stopped.";
        else { show("error", error.message); at("status").textContent = ""; }
      }
      running = null;
      // Another conversation may have begun meanwhile.
      if (messages === mine) {
        if (answer.content) mine.push(answer);
        else if (!at("text").value) { mine.pop(); at("text").value = text; } // to be asked again
        else mine.pop();
        store.set("conversation", mine);
      } else at("status").textContent = "";
      at("send").disabled = false;
      at("stop").disabled = true;
      at("conversation").setAttribute("aria-busy", "false");
      at("text").focus();
    }

    async function admin(method, path, body) {
      const status = at("weights-status");
      status.textContent = "Working …";
      try {
        const response = await fetch("admin/v1/" + path, { method, headers: headers(at("admin").value), body: body && JSON.stringify(body) });
        if (response.status === 404 && path === "weights") throw new Error("This server was started without an admin key.");
        if (!response.ok) throw new Error(await problem(response));
        const text = await response.text();
        status.textContent = "Done.";
        return text ? JSON.parse(text) : {};
      } catch (error) {
        status.textContent = error.message;
        return null;
      }
    }
    async function listVersions() {
      const state = await admin("GET", "weights");
      if (!state) return;
      const rows = state.versions.map((version) => {
        const row = document.createElement("li");
        row.textContent = version.version + (version.version === state.active ? " (in use)" : "");
        if (version.version !== state.active) {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = "Activate";
          button.setAttribute("aria-label", "Activate " + version.version);
          button.addEventListener("click", async () => { if (await admin("POST", "weights/activate", { version: version.version })) await listVersions(); });
          row.append(button);
        }
        return row;
      });
      at("versions").replaceChildren(...rows);
    }

    function trySend() {
      const text = at("text").value.trim();
      if (!text || running) return;
      at("text").value = "";
      send(text);
    }
    at("form").addEventListener("submit", (event) => { event.preventDefault(); trySend(); });
    at("text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); trySend(); }
    });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && running) running.abort(); });
    at("stop").addEventListener("click", () => running && running.abort());
    at("new").addEventListener("click", () => { if (running) running.abort(); messages = []; store.set("conversation", messages); showAll(); at("status").textContent = ""; at("text").focus(); });
    at("key-use").addEventListener("click", () => { key = at("key").value; loadModels(); });
    at("list").addEventListener("click", listVersions);
    at("refit").addEventListener("click", async () => { if (await admin("POST", "weights/refit", { source: at("source").value })) await listVersions(); });
    at("undo").addEventListener("click", async () => { if (await admin("POST", "weights/undo", {})) await listVersions(); });
    showAll();
    loadModels();
    at("text").focus();

    """#
}

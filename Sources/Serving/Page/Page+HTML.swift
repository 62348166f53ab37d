extension Page {
  static let html = #"""
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Drydock</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="page.css">
    <script src="page.js" defer></script>
    </head>
    <body>
    <header>
      <h1>Drydock</h1>
      <label for="model" class="hidden">Model</label>
      <select id="model"></select>
      <button id="new" type="button">New conversation</button>
    </header>
    <main>
      <div id="key-row" hidden>
        <label for="key">API key</label>
        <input id="key" type="password" autocomplete="off">
        <button id="key-use" type="button">Use</button>
      </div>
      <section id="conversation" aria-label="Conversation" role="log" aria-live="polite" aria-busy="false" tabindex="0"></section>
      <form id="form">
        <label for="text" class="hidden">Message</label>
        <textarea id="text" rows="3" placeholder="Message (Enter sends, Shift and Enter begins a line, Escape stops)" required></textarea>
        <div class="buttons">
          <button id="send" type="submit">Send</button>
          <button id="stop" type="button" disabled>Stop</button>
        </div>
      </form>
      <p id="status" role="status"></p>
      <details>
        <summary>Settings</summary>
        <div class="fields">
          <label for="system">System message</label><textarea id="system" rows="2"></textarea>
          <label for="temperature">Temperature</label><input id="temperature" type="number" min="0" max="2" step="0.1" placeholder="as the server has it">
          <label for="tokens">Most tokens</label><input id="tokens" type="number" min="1" step="1" placeholder="as many as fit">
        </div>
      </details>
      <details id="weights">
        <summary>Weights</summary>
        <div class="fields">
          <label for="admin">Admin key</label><input id="admin" type="password" autocomplete="off">
          <label for="source">New weights, below the server's root</label><input id="source" type="text" autocomplete="off" placeholder="monday-lora">
        </div>
        <div class="buttons">
          <button id="list" type="button">Show versions</button>
          <button id="refit" type="button">Refit and activate</button>
          <button id="undo" type="button">Undo</button>
        </div>
        <ul id="versions" aria-label="Versions of weights"></ul>
        <p id="weights-status" role="status"></p>
      </details>
    </main>
    </body>
    </html>

    """#
}

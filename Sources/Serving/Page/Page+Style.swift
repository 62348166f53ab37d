extension Page {
  static let style = #"""
    :root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #59636e; --line: #d0d7de; --mine: #eef4fb; --blue: #0b57b0; --on-blue: #fff; --red: #a40e26; }
    @media (prefers-color-scheme: dark) {
      :root { --back: #14181d; --text: #e6eaef; --soft: #9aa7b4; --line: #39424d; --mine: #1d2834; --blue: #79b8ff; --on-blue: #0b1520; --red: #ff8f9a; }
    }
    * { box-sizing: border-box; }
    html, body { margin: 0; height: 100%; }
    body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; display: flex; flex-direction: column; }
    header { display: flex; gap: .75rem; align-items: center; padding: .6rem 1rem; border-bottom: 1px solid var(--line); flex-wrap: wrap; }
    h1 { font-size: 1.1rem; margin: 0; flex: 1; }
    main { display: flex; flex-direction: column; gap: .6rem; width: 100%; max-width: 52rem; margin: 0 auto; padding: .6rem 1rem; flex: 1; min-height: 0; }
    main > * { flex: none; }
    main > #conversation { flex: 1 0 8rem; overflow-y: auto; min-height: 8rem; }
    article { margin: .5rem 0; padding: .5rem .75rem; border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
    article.user { background: var(--mine); }
    article.error { color: var(--red); }
    article h2 { font-size: .8rem; margin: 0; color: var(--soft); }
    form { display: flex; gap: .5rem; align-items: stretch; }
    textarea, input, select { font: inherit; color: inherit; background: var(--back); border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .5rem; width: 100%; }
    select { width: auto; max-width: 16rem; }
    form textarea { flex: 1; resize: vertical; }
    button { font: inherit; padding: .4rem .9rem; border-radius: .4rem; border: 1px solid var(--blue); background: var(--back); color: var(--blue); cursor: pointer; }
    button[type=submit] { background: var(--blue); color: var(--on-blue); }
    button:disabled { opacity: .55; cursor: default; }
    :focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
    .buttons { display: flex; gap: .5rem; flex-wrap: wrap; }
    form .buttons { flex-direction: column; }
    .fields { display: grid; grid-template-columns: minmax(9rem, auto) 1fr; gap: .5rem; align-items: center; padding: .5rem 0; }
    #key-row { display: flex; gap: .5rem; align-items: center; white-space: nowrap; }
    #key-row[hidden] { display: none; }
    #status, #weights-status { color: var(--soft); font-size: .85rem; margin: 0; min-height: 1.3em; overflow-wrap: anywhere; }
    #versions { padding-left: 1.2rem; overflow-wrap: anywhere; }
    #versions button { padding: .1rem .5rem; margin-left: .5rem; }
    .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    @media (max-width: 40rem) { .fields { grid-template-columns: 1fr; } form { flex-direction: column; } form .buttons { flex-direction: row; } }

    """#
}

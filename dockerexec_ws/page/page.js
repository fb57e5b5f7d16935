import "./vendor/xterm.mjs";

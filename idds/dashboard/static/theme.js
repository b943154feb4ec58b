// Runs before the page is drawn: a screen that was dark stays dark, without a flash.
"use strict";
try {
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch { /* storage is forbidden: the system's choice it is */ }

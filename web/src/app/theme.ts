import type { Settings } from "../api/contract.ts";

const KEY = "meterway.theme";

/** The theme last used in this browser: shown until the user's settings have come. */
export function rememberedTheme(): Settings["theme"] {
  const theme = localStorage.getItem(KEY);
  return theme === "light" || theme === "dark" ? theme : "system";
}

export function applyTheme(theme: Settings["theme"]) {
  localStorage.setItem(KEY, theme);
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  window.dispatchEvent(new Event("themechange"));
}

/** Calls back when colours change, by setting or by the system. */
export function onThemeChange(listener: () => void): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", listener);
  window.addEventListener("themechange", listener);
  return () => {
    dark.removeEventListener("change", listener);
    window.removeEventListener("themechange", listener);
  };
}

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** The demo's telephone page, a bundle of its own: what `serve` shows has none of it. */
export default defineConfig({
  root: "caller",
  publicDir: "../public",
  plugins: [react()],
  build: {
    outDir: "../dist-caller",
    emptyOutDir: true,
    // The page's policy forbids inline scripts and data: fonts; nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    // JsSIP asks that its licence goes with it.
    license: { fileName: "licenses.txt" },
  },
});

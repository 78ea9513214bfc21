/**
 * The page's content security policy. The build writes it into index.html (vite.config.ts); a host that can send
 * headers should send it as one too, because a worker follows the header of its own script and not the page's <meta>.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  // wasm-unsafe-eval lets ONNX Runtime compile its wasm; JavaScript from strings and inline scripts stay forbidden.
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "font-src 'self'",
  // Object URLs of the videos that the user chose.
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  // Models may come from hosts that the user names: over https, or from this computer.
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  // The sandbox of users' reward functions (public/reward-frame.html), which has its own policy and no origin.
  "frame-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/* "Try again" leads back to the form that was left, if this browser remembers it. */

let from = null;
try {
  from = sessionStorage.getItem("gave-from");
} catch {
  // storage may be switched off
}
if (from && /^\/(?![/\\])/.test(from)) document.getElementById("try-again").href = from;

/* A cover whose picture does not load shows the drawing beneath it. */

for (const image of document.querySelectorAll(".cover img")) {
  image.addEventListener("error", () => image.remove());
  if (image.complete && !image.naturalWidth) image.remove();
}

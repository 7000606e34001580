// A chart that the kernel draws, and in words what it shows: for whoever does not see it.

export default {
  render({ model, el }) {
    const image = document.createElement("img");
    el.append(image);
    const show = () => {
      const picture = model.get("picture");
      const before = image.src;
      image.hidden = !picture?.byteLength;
      image.alt = model.get("words");
      if (!image.hidden) image.src = URL.createObjectURL(new Blob([picture], { type: "image/png" }));
      if (before) URL.revokeObjectURL(before);
    };
    model.on("change:picture", show);
    show();
    return () => {
      model.off("change:picture", show);
      if (image.src) URL.revokeObjectURL(image.src);
    };
  },
};

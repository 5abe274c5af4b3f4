// A PDF of one page that shows one JPEG: header, six objects, cross-reference table, trailer.
const pdfOf = (jpeg, pixelWidth, pixelHeight, width, height, title) => {
  const encoder = new TextEncoder();
  const parts = [];
  const offsets = [];
  let length = 0;
  const put = (part) => {
    const bytes = typeof part === "string" ? encoder.encode(part) : part;
    parts.push(bytes);
    length += bytes.length;
  };
  const object = (...content) => {
    offsets.push(length);
    put(`${offsets.length} 0 obj\n`);
    content.forEach(put);
    put("\nendobj\n");
  };
  const hex = [...title].flatMap((one) => [...Array(one.length).keys()].map((at) => one.charCodeAt(at)));
  const text = `<FEFF${hex.map((unit) => unit.toString(16).padStart(4, "0")).join("")}>`;
  const drawing = `q ${width} 0 0 ${height} 0 0 cm /Figure Do Q`;
  put("%PDF-1.4\n");
  put(Uint8Array.of(0x25, 0xe2, 0xe3, 0xcf, 0xd3, 0x0a));
  object("<< /Type /Catalog /Pages 2 0 R >>");
  object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
  object(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${width} ${height}] /Resources << /XObject << /Figure 4 0 R >> >> /Contents 5 0 R >>`);
  object(`<< /Type /XObject /Subtype /Image /Width ${pixelWidth} /Height ${pixelHeight} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode /Length ${jpeg.length} >>\nstream\n`, jpeg, "\nendstream");
  object(`<< /Length ${drawing.length} >>\nstream\n${drawing}\nendstream`);
  object(`<< /Title ${text} /Producer (fashionedit) >>`);
  const start = length;
  const entries = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  put(`xref\n0 ${offsets.length + 1}\n0000000000 65535 f \n${entries}`);
  put(`trailer\n<< /Size ${offsets.length + 1} /Root 1 0 R /Info 6 0 R >>\nstartxref\n${start}\n%%EOF\n`);
  return new Blob(parts, { type: "application/pdf" });
};

// What a file says before it is decoded: its size, and where a browser would return other pixels than herbage does.

const BLANK_BYTES = 512; // a sector of a disk
const HDR_CURVES = [16, 18]; // code points of ITU-T H.273: PQ and HLG
const [START_OF_SCAN, HUFFMAN_TABLES, APPLICATION_2] = [0xda, 0xc4, 0xe2]; // markers of JPEG (ITU-T T.81, annex B)
const NO_FRAMES = [HUFFMAN_TABLES, 0xc8, 0xcc]; // markers among those of frames, 0xc0 to 0xcf
const ADOBE_RGB = "is in Adobe RGB without a colour profile, which browsers take for sRGB: save it in sRGB";
const BLANK = "could not be decoded: its image data are damaged (a block of zeros): copy the photo again";
const TURNED_WEBP = "is a WebP with an EXIF orientation, which browsers ignore: save it as JPEG";
const HDR = "is not a readable image: its brightness is coded for HDR displays (PQ or HLG): export it as JPEG in sRGB";
const DEEP = "is a PNG with 16 bits per value, of which browsers use 8: save it with 8 bits";
const TIFF = "is a TIFF, which this browser cannot decode: save it as JPEG";
const OTHER = "is not a readable image: it is damaged, or no JPEG, PNG or WebP: copy the photo again, or save it as JPEG";
const UNKNOWN_COLOURS = "its colours may not be sRGB, but it has no colour profile: they were read as sRGB";

/**
 * The `size` [width, height] as stored, null where it is not known; `remarks`; and the `refusal`, why the photo cannot
 * be used, or null. `exif` is that of `readExif`.
 */
export function readContent(bytes, exif) {
  const read = { jpeg: readJpeg, png: readPng, webp: readWebp, heic: readHeic }[formatOf(bytes)];
  if (!read) return { size: null, remarks: [], refusal: otherFormat(bytes) };
  const { size, hasProfile, refusal } = read(bytes, exif);
  const isAdobe = exif.colours === "Adobe RGB" && !hasProfile;
  return {
    size,
    remarks: exif.colours === "unknown" && !hasProfile ? [UNKNOWN_COLOURS] : [],
    refusal: refusal ?? (isAdobe ? ADOBE_RGB : null),
  };
}

/** The file as the browser should decode it: a PNG without gamma and chromaticities, which herbage ignores. */
export function decodable(file, bytes) {
  if (formatOf(bytes) !== "png") return file;
  const dropped = [...pngChunks(bytes)].filter(({ kind }) => ["gAMA", "cHRM"].includes(kind));
  let at = 0;
  const parts = dropped.map(({ start, end }) => {
    const part = bytes.subarray(at, start);
    at = end;
    return part;
  });
  return new Blob([...parts, bytes.subarray(at)], { type: "image/png" });
}

function formatOf(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "jpeg";
  if (text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "png";
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP") return "webp";
  return text(bytes, 4, 8) === "ftyp" && /^(hei|hev|mif|msf)/.test(text(bytes, 8, 12)) ? "heic" : null;
}

function otherFormat(bytes) {
  return ["II*\0", "MM\0*"].includes(text(bytes, 0, 4)) ? TIFF : OTHER;
}

function readJpeg(bytes) {
  const segments = [...jpegSegments(bytes)];
  const frame = segments.find(({ marker }) => marker >= 0xc0 && marker <= 0xcf && !NO_FRAMES.includes(marker));
  const isProfile = ({ marker, start }) => marker === APPLICATION_2 && text(bytes, start, start + 11) === "ICC_PROFILE";
  return {
    size: frame ? [frame.start + 3, frame.start + 1].map((at) => 256 * bytes[at] + bytes[at + 1]) : null,
    hasProfile: segments.some(isProfile),
    refusal: hasBlankScan(bytes, segments) ? BLANK : null,
  };
}

/** The segments of a JPEG up to its first scan: their content is between `start` and `end`. */
function* jpegSegments(bytes) {
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    if (marker === 0xff) at += 1; // padding
    else {
      const end = at + 2 + 256 * bytes[at + 2] + bytes[at + 3];
      yield { marker, start: at + 4, end };
      if (marker === START_OF_SCAN) return;
      at = end;
    }
  }
}

/**
 * Whether the first image of a JPEG has a run of zeros as long as a sector in its image data. Tables whose code of only
 * zeros ends a block, which flat areas consist of, make this run right; those of cameras do not.
 */
function hasBlankScan(bytes, segments) {
  const scan = segments.at(-1);
  if (scan?.marker !== START_OF_SCAN || segments.some(({ marker }) => marker === 0xc2)) return false; // 0xc2: progressive
  for (const { marker, start, end } of segments) {
    if (marker === HUFFMAN_TABLES && tablesEndBlocks(bytes, start, end)) return false;
  }
  let zeros = 0;
  for (let at = scan.end; at < bytes.length; at++) {
    zeros = bytes[at] ? 0 : zeros + 1;
    if (zeros >= BLANK_BYTES) return true;
    if (bytes[at] === 0xff && bytes[at + 1] === 0xd9) return false; // the end of the image
  }
  return false;
}

/** Whether the first code of the table of AC coefficients of brightness, a code of zeros, means the end of a block. */
function tablesEndBlocks(bytes, start, end) {
  for (let at = start; at + 17 <= end; ) {
    const codes = bytes.subarray(at + 1, at + 17).reduce((sum, count) => sum + count, 0);
    if (bytes[at] === 0x10 && bytes[at + 17] === 0) return true;
    at += 17 + codes;
  }
  return false;
}

function readPng(bytes) {
  const chunks = [...pngChunks(bytes)];
  const codes = chunks.find(({ kind }) => kind === "cICP");
  const isHdr = codes && HDR_CURVES.includes(bytes[codes.start + 9]);
  const isDeep = bytes[24] === 16;
  return {
    size: bytes.length < 24 ? null : [16, 20].map((at) => new DataView(bytes.buffer).getUint32(at)),
    hasProfile: chunks.some(({ kind }) => ["iCCP", "cICP"].includes(kind)),
    refusal: isHdr ? HDR : isDeep ? DEEP : null,
  };
}

/** The chunks of a PNG before its image data: `start` is that of their length, `end` is behind their checksum. */
function* pngChunks(bytes) {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length && text(bytes, at + 4, at + 8) !== "IDAT"; ) {
    const end = at + 12 + view.getUint32(at);
    yield { kind: text(bytes, at + 4, at + 8), start: at, end };
    at = end;
  }
}

function readWebp(bytes, { orientation }) {
  const hasProfile = text(bytes, 12, 16) === "VP8X" && Boolean(bytes[20] & 0x20);
  return { size: null, hasProfile, refusal: orientation === 1 ? null : TURNED_WEBP };
}

function readHeic() {
  return { size: null, hasProfile: true, refusal: null };
}

function text(bytes, from, to) {
  return String.fromCharCode(...bytes.subarray(from, to));
}

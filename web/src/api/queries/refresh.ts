/** Charts and figures that nothing on the stream announces are asked for again this often, milliseconds. */
export const REFRESH_MS = 5_000;

/** Header of the answer to POST /netloom/captures: the id of the capture. */
export const CAPTURE_ID_HEADER = 'Netloom-Capture'

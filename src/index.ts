/** netloom as a library. The public surface grows in src/lab. */
export const version = '0.1.0'

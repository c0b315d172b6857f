declare module "*.svg" {
  const text: string;
  export default text;
}

/** [code, its own name], put in by build.mjs from src/text. */
declare const LANGUAGES: [string, string][];

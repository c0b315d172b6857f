/** What the dice throw: captions in the words that the models were trained with. */
export const IDEAS = [
  "warm lo-fi hip hop, dusty drums, mellow electric piano, rainy evening",
  "bright indie pop with jangly guitars, handclaps and a singalong chorus",
  "slow jazz ballad, upright bass, brushed drums, a smoky tenor saxophone",
  "cinematic strings that grow from a whisper to a full orchestra",
  "driving synthwave, gated drums, arpeggiated analog bass, neon night drive",
  "acoustic folk lullaby, fingerpicked guitar, soft female vocals",
  "deep house groove, rolling bassline, filtered chords, airy vocal chops",
  "raw garage rock, fuzzy guitars, shouted vocals, pounding toms",
  "bossa nova on a nylon guitar, light percussion, summer breeze",
  "ambient drone, slow evolving pads, distant bells, calm as snowfall",
  "funky disco, slap bass, wah guitar, brass stabs, four on the floor",
  "celtic reel, fiddle and tin whistle, bodhran, full of joy",
  "dark techno, hypnotic kick, metallic percussion, warehouse reverb",
  "gospel choir with Hammond organ, hand claps and a soaring lead",
  "reggae dub, deep bass, offbeat guitar, spring reverb and tape echo",
  "solo piano waltz, nostalgic and tender, in three-four time",
];

#include "server/reference_examples.h"

#include <stddef.h>
#include <time.h>

static const struct {
    const char *description, *language;
    bool instrumental;
} sentences[] = {
    {"a slow piano piece for a rainy Sunday morning, with a cello that comes in late", "unknown",
     true},
    {"a brass band that plays ska at a village wedding, everybody sings along", "en", false},
    {"deep house for driving at night, warm bass, a few vocal chops", "en", false},
    {"a lullaby in French, one nylon guitar, a soft female voice", "fr", false},
    {"eight-bit chase music for the last level of a platform game", "unknown", true},
    {"a Japanese city pop song about the last train home", "ja", false},
    {"bluegrass with banjo and fiddle, faster with every verse", "en", false},
    {"dark ambient for a documentary about the deep sea", "unknown", true},
    {"a Spanish rumba with hand claps about a lost umbrella", "es", false},
    {"string quartet in minor, pizzicato first, then long bows", "unknown", true},
    {"German synth pop about a robot that learns to dance", "de", false},
    {"lo-fi beat with vinyl crackle and an electric piano, to study by", "unknown", true},
};

static const struct {
    const char *caption, *lyrics, *key, *language, *metre;
    int bpm, duration;
} songs[] = {
    {"folk ballad, acoustic guitar, male voice, harmonica between the verses",
     "[Verse]\nThe harbour sleeps, the nets are dry\nA lamp still burns for "
     "passers-by\n\n[Chorus]\n"
     "Row me home, row me home\nOver water, over stone",
     "G major", "en", "3", 92, 60},
    {"funk, slap bass, clavinet, tight horns, female lead with backing choir",
     "[Verse]\nMonday came in through the door\nLeft its shoes across the floor\n\n[Chorus]\nMove "
     "it, "
     "move it, let it go\nTuesday never has to know",
     "E minor", "en", "4", 108, 75},
    {"cinematic orchestra, low strings, timpani, slow rise to a bright ending", "[Instrumental]",
     "D minor", "unknown", "4", 70, 90},
    {"chanson, accordion, upright bass, brushed drums, intimate voice",
     "[Couplet]\nUn banc de bois, deux pigeons gris\nLe temps qui passe et qui "
     "sourit\n\n[Refrain]\n"
     "Reste encore un peu, reste encore un peu\nLe soir est bleu",
     "A minor", "fr", "3", 84, 60},
    {"drum and bass, airy pads, chopped breaks, sub bass", "[Instrumental]", "F# minor", "unknown",
     "4", 174, 60},
    {"indie rock, jangly guitars, driving drums, double-tracked vocals",
     "[Verse]\nWe drew a map on the kitchen wall\nOf every street where the leaves would fall\n\n"
     "[Chorus]\nAnd we ran, and we ran\nFaster than the summer can",
     "C major", "en", "4", 138, 70},
};

/* Which one: of no consequence, but it should change. */
static size_t any_of(size_t n)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (size_t)(now.tv_nsec / 1000 + now.tv_sec) % n;
}

json_t *ace_reference_example(bool whole)
{
    if (whole) {
        size_t i = any_of(sizeof songs / sizeof *songs);
        return json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:b}", "caption", songs[i].caption,
                         "lyrics", songs[i].lyrics, "bpm", songs[i].bpm, "duration",
                         songs[i].duration, "keyscale", songs[i].key, "language", songs[i].language,
                         "timesignature", songs[i].metre, "think", 1);
    }
    size_t i = any_of(sizeof sentences / sizeof *sentences);
    return json_pack("{s:s, s:b, s:s}", "description", sentences[i].description, "instrumental",
                     (int)sentences[i].instrumental, "vocal_language", sentences[i].language);
}

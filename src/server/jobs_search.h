/* Texts made alike, so that a search finds them in whatever case and spelling of their letters. */
#ifndef ACE_SERVER_JOBS_SEARCH_H
#define ACE_SERVER_JOBS_SEARCH_H

/* Unicode's NFKC_Casefold: "ПИАНО" and "пиано", "É" as one character or two, full-width letters.
 * What is no UTF-8 stays as it is. The caller frees with free(); NULL when memory is short. */
char *ace_search_fold(const char *text);

#endif

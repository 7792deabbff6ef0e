/* SPDX-License-Identifier: MIT */
#include "formers.h"

#include <string.h>

#include "ledger.h"
#include "util.h"

/* The same name, or a free record; NULL: there is neither. */
static struct ledger_former *record_for(struct ledger_page *page, uint64_t parent, const char *name)
{
	struct ledger_former *free_record = NULL;

	for (size_t i = 0; i < LEDGER_FORMERS; i++) {
		struct ledger_former *former = &page->formers[i];

		if (former->parent == parent && !strcmp(former->name, name))
			return former;
		if (former->parent == 0)
			free_record = former;
	}
	return free_record;
}

void formers_note(struct ledger *ledger, uint64_t parent, const char *name)
{
	struct ledger_page *page = ledger->page;
	struct ledger_former *former;

	if (strlen(name) > LEDGER_NAME_MAX) /* the kernel does not cache it */
		return;
	pthread_mutex_lock(&ledger->lock);
	former = record_for(page, parent, name);
	if (former) {
		strcpy(former->name, name);
		former->pass = page->pass;
		former->parent = parent;
	} else {
		page->lost_pass = page->pass;
		page->formers_lost = true;
	}
	pthread_mutex_unlock(&ledger->lock);
}

void formers_pass(struct ledger *ledger)
{
	struct ledger_page *page = ledger->page;

	pthread_mutex_lock(&ledger->lock);
	for (size_t i = 0; i < LEDGER_FORMERS; i++)
		if (page->formers[i].parent != 0 && page->formers[i].pass != page->pass)
			page->formers[i].parent = 0;
	if (page->lost_pass != page->pass)
		page->formers_lost = false;
	page->pass++;
	pthread_mutex_unlock(&ledger->lock);
}

bool formers_next(struct ledger *ledger, uint32_t *at, uint64_t *ret_parent, char *ret_name)
{
	bool found = false;

	pthread_mutex_lock(&ledger->lock);
	while (!found && *at < LEDGER_FORMERS) {
		const struct ledger_former *former = &ledger->page->formers[(*at)++];

		found = former->parent != 0;
		if (found) {
			*ret_parent = former->parent;
			memcpy(ret_name, former->name, sizeof(former->name));
		}
	}
	pthread_mutex_unlock(&ledger->lock);
	return found;
}

bool formers_are_lost(struct ledger *ledger)
{
	return ledger->page->formers_lost;
}

/* SPDX-License-Identifier: MIT */

/* Devices as bluetoothd has them, and the list of those that are our phones. A phone comes on the list when
 * it bonds within a window, by our agent's leave; by the address it has then, which is its identity's: the
 * object's path keeps the address of the day it was first seen with. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ble-internal.h"
#include "clock.h"
#include "log.h"

/* Between our agent's yes and the bond: SMP's own limit (Core specification, volume 3, part H, 3.4). */
#define PAIRING_USEC (30 * USEC_PER_SEC)

/* Everyone on the machine can read events. */
#define ENDS_IN "that ends in "

/* How far behind the card may be with when a phone was here. */
#define USED_SEC 3600

const char *ble_address_end(const char *address) {
        const size_t length = strlen(address), end = strlen("44:55");

        return address + (length > end ? length - end : 0);
}

/* ---- the list ------------------------------------------------------------------------------------------ */

static struct ble_phone *phone_find(struct ble *b, const char *address, bool random) {
        for (size_t i = 0; i < b->n_phones; i++)
                if (strcasecmp(b->phones[i].address, address) == 0 && b->phones[i].random == random)
                        return &b->phones[i];
        return NULL;
}

static struct ble_phone *phone_of(const struct ble_device *d) {
        return phone_find(d->ble, d->address, d->random);
}

static void phone_drop(struct ble *b, struct ble_phone *phone) {
        const size_t i = (size_t)(phone - b->phones);

        b->n_phones--;
        memmove(phone, phone + 1, (b->n_phones - i) * sizeof(*phone));
        ble_phones_file_put(b);
}

static void phone_used(const struct ble_device *d) {
        struct ble_phone *phone = phone_of(d);
        const struct maybe64 now = ble_wall_sec(d->ble);

        if (!phone || !now.known)
                return;
        if (!phone->used_sec.known || now.value - phone->used_sec.value >= USED_SEC) {
                phone->used_sec = now;
                ble_phones_file_put(d->ble);
        }
}

static void phone_add(const struct ble_device *d) {
        struct ble *b = d->ble;
        struct ble_phone *phone = phone_of(d);

        if (!phone) {
                if (b->n_phones == BLE_PHONES_MAX) /* another one has come first in the same window; it is
                                                    * judged as a stranger when it asks */
                        return;
                phone = &b->phones[b->n_phones++];
        }
        *phone = (struct ble_phone){
                .random = d->random, .paired_sec = ble_wall_sec(b), .used_sec = ble_wall_sec(b)};
        memcpy(phone->address, d->address, sizeof(phone->address));
        memcpy(phone->name, d->name, sizeof(phone->name));
        ble_phones_file_put(b);
        ble_event(b, "phone " ENDS_IN "%s was paired %s", ble_address_end(d->address),
                  b->window.just_works ? "without a passkey" : "by passkey");
        ble_agent_paired(b, d);
}

static bool device_is(const struct ble_device *d, const struct ble_phone *phone) {
        return d->random == phone->random && strcasecmp(d->address, phone->address) == 0;
}

size_t ble_phones(const struct ble *b, struct ble_phone ret_phones[BLE_PHONES_MAX]) {
        for (size_t i = 0; i < b->n_phones; i++) {
                ret_phones[i] = b->phones[i];
                ret_phones[i].connected = false;
                for (const struct ble_device *d = b->devices; d; d = d->next)
                        if (d->connected && device_is(d, &b->phones[i]))
                                ret_phones[i].connected = true;
        }
        return b->n_phones;
}

/* ---- what is done to a device -------------------------------------------------------------------------- */

/* Its connection and its bond go with it. */
static void remove_device(struct ble *b, const struct ble_device *d) {
        sd_bus_message *m = NULL;
        int r;

        r = ble_call_new(b, b->adapter, BLUEZ_ADAPTER, "RemoveDevice", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "o", d->path);
        if (r >= 0)
                ble_call_and_forget(b, m);
        else
                log_warning("Bluetooth: cannot have the bond of %s removed: %s", d->address, strerror(-r));
        sd_bus_message_unref(m);
}

void ble_device_disconnect(struct ble *b, const struct ble_device *d) {
        sd_bus_message *m = NULL;

        if (ble_call_new(b, d->path, BLUEZ_DEVICE, "Disconnect", &m) >= 0)
                ble_call_and_forget(b, m);
        sd_bus_message_unref(m);
}

static void forget(struct ble *b, struct ble_phone *phone) {
        const struct ble_phone gone = *phone;

        phone_drop(b, phone);
        for (struct ble_device *d = b->devices; d; d = d->next)
                if (device_is(d, &gone)) {
                        ble_services_end(d);
                        d->approved = 0;
                        remove_device(b, d);
                }
        ble_event(b, "phone " ENDS_IN "%s was removed from the list", ble_address_end(gone.address));
}

int ble_remove_phone(struct ble *b, const char *address) {
        for (size_t i = 0; i < b->n_phones; i++)
                if (strcasecmp(b->phones[i].address, address) == 0) {
                        forget(b, &b->phones[i]);
                        return 0;
                }
        return -ENOENT;
}

void ble_remove_all_phones(struct ble *b) {
        while (b->n_phones > 0)
                forget(b, &b->phones[b->n_phones - 1]);
}

/* ---- who may ------------------------------------------------------------------------------------------- */

bool ble_device_may(const struct ble_device *d) {
        return d->bonded && !d->fresh && d->address[0] && phone_of(d);
}

/* What to make of one that has touched our service without being allowed to. */
static void judge(struct ble_device *d) {
        struct ble *b = d->ble;

        if (!d->touched || d->fresh || d->asking)
                return;
        d->touched = false;
        if (ble_device_may(d))
                return;
        if (d->approved != 0 && usec_since(clock_now(), d->approved_at) < PAIRING_USEC)
                return; /* it is just being paired: it will ask again */
        if (!d->paired && !d->bonded) {
                log_full(d->complained ? LOG_DEBUG : LOG_NOTICE,
                         "Bluetooth: refused to %s, which is not paired", d->address);
                d->complained = true;
                return;
        }
        if (d->complained)
                return; /* it is being removed */
        d->complained = true;
        ble_event(b,
                  "device " ENDS_IN "%s was paired outside a pairing window and asked for our readings: refused, its "
                  "bond removed",
                  ble_address_end(d->address));
        remove_device(b, d);
}

void ble_device_refused(struct ble *b, const char *path) {
        struct ble_device *d = ble_device_get(b, path);

        if (!d)
                return;
        d->touched = true;
        judge(d);
}

bool ble_any_phone_connected(const struct ble *b) {
        for (const struct ble_device *d = b->devices; d; d = d->next)
                if (d->connected && ble_device_may(d))
                        return true;
        return false;
}

/* ---- devices ------------------------------------------------------------------------------------------- */

struct device_properties {
        const char *address, *address_type, *name;
        struct maybe connected, paired, bonded;
};

static int take_device_property(sd_bus_message *m, const char *name, void *userdata) {
        struct device_properties *p = userdata;
        const struct {
                const char *name;
                struct maybe *flag;
                const char **text;
        } wanted[] = {
                {"Address", NULL, &p->address}, {"AddressType", NULL, &p->address_type},
                {"Name", NULL, &p->name},       {"Connected", &p->connected, NULL},
                {"Paired", &p->paired, NULL},   {"Bonded", &p->bonded, NULL},
        };
        int r, v;

        for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
                if (strcmp(name, wanted[i].name) != 0)
                        continue;
                if (wanted[i].text)
                        r = sd_bus_message_read(m, "v", "s", wanted[i].text);
                else {
                        r = sd_bus_message_read(m, "v", "b", &v);
                        if (r >= 0)
                                *wanted[i].flag = some(v);
                }
                return r < 0 ? r : 1;
        }
        return 0;
}

struct ble_device *ble_device_find(struct ble *b, const char *path) {
        for (struct ble_device *d = b->devices; d; d = d->next)
                if (strcmp(d->path, path) == 0)
                        return d;
        return NULL;
}

static void device_free(struct ble_device *d) {
        struct ble *b = d->ble;

        for (struct ble_device **p = &b->devices; *p; p = &(*p)->next)
                if (*p == d) {
                        *p = d->next;
                        break;
                }
        b->n_devices--;
        ble_services_end(d);
        sd_bus_slot_unref(d->asking);
        free(d);
}

static struct ble_device *device_new(struct ble *b, const char *path) {
        struct ble_device *d;

        if (b->n_devices == BLE_DEVICES_MAX || strlen(path) >= sizeof(d->path))
                return NULL;
        d = calloc(1, sizeof(*d));
        if (!d)
                return NULL;
        d->ble = b;
        strcpy(d->path, path);
        d->next = b->devices;
        b->devices = d;
        b->n_devices++;
        return d;
}

/* Bonded just now, and its identity is known: one of ours, or not. */
static void settle(struct ble_device *d) {
        struct ble *b = d->ble;
        struct ble_phone *phone;

        if (!d->fresh)
                return;
        d->fresh = false;
        if (!d->bonded)
                return;
        if (b->window.open && d->approved == b->window.serial) {
                phone_add(d);
                return;
        }
        phone = phone_of(d);
        if (phone && d->connected) { /* not: bonds read from bluetoothd's own store */
                ble_event(b, "phone " ENDS_IN "%s was paired anew outside a pairing window: off the list",
                          ble_address_end(d->address));
                phone_drop(b, phone);
        }
}

/* The identity may become known when it is bonded already: a phone of the list stays one. */
static void apply_address(struct ble_device *d, const struct device_properties *p) {
        struct ble_phone *phone = d->bonded ? phone_of(d) : NULL;

        if (p->address && strlen(p->address) < sizeof(d->address))
                strcpy(d->address, p->address);
        if (p->address_type)
                d->random = strcmp(p->address_type, "random") == 0;
        if (!phone || phone == phone_of(d))
                return;
        if (phone_of(d)) { /* it was on the list by its identity, too */
                phone_drop(d->ble, phone);
                return;
        }
        memcpy(phone->address, d->address, sizeof(phone->address));
        phone->random = d->random;
        ble_phones_file_put(d->ble);
}

static void apply(struct ble_device *d, const struct device_properties *p) {
        const bool was_connected = d->connected;

        apply_address(d, p);
        if (p->name)
                ble_clean_text(d->name, sizeof(d->name), p->name);
        if (p->paired.known)
                d->paired = p->paired.value;
        if (p->bonded.known)
                d->bonded = p->bonded.value;
        if (!p->connected.known)
                return;
        d->connected = p->connected.value;
        if (!d->connected) {
                if (was_connected && !d->session && ble_device_may(d))
                        ble_agent_silent(d->ble, d);
                ble_services_end(d);
                d->complained = d->touched = false;
        }
        if (d->connected != was_connected && ble_device_may(d))
                phone_used(d);
}

static int on_asked(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble_device *d = userdata;
        struct device_properties p = {0};

        (void)ret_error;
        d->asking = sd_bus_slot_unref(d->asking);
        if (sd_bus_message_is_method_error(m, NULL) || ble_read_properties(m, take_device_property, &p) < 0) {
                /* it is gone, or we know no more than before: it is not one of ours */
                d->fresh = d->touched = false;
                return 0;
        }
        apply(d, &p);
        settle(d);
        judge(d);
        if (!d->connected && !d->paired && !d->bonded)
                device_free(d);
        return 0;
}

/* All of it, as it is by now. */
static void ask(struct ble_device *d) {
        sd_bus_message *m = NULL;
        int r;

        d->asking = sd_bus_slot_unref(d->asking);
        r = ble_call_new(d->ble, d->path, "org.freedesktop.DBus.Properties", "GetAll", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", BLUEZ_DEVICE);
        if (r >= 0)
                r = ble_call(d->ble, m, on_asked, d, &d->asking);
        sd_bus_message_unref(m);
        if (r < 0)
                log_warning("Bluetooth: cannot ask about %s: %s", d->path, strerror(-r));
}

struct ble_device *ble_device_get(struct ble *b, const char *path) {
        struct ble_device *d = ble_device_find(b, path);

        if (!d) {
                d = device_new(b, path);
                if (d)
                        ask(d);
        }
        return d;
}

void ble_device_take(struct ble *b, const char *path, sd_bus_message *properties, bool whole) {
        struct device_properties p = {0};
        struct ble_device *d = ble_device_find(b, path);
        bool fresh;

        if (ble_read_properties(properties, take_device_property, &p) < 0)
                return;
        if (!d) { /* most are of no interest: only seen */
                if (!p.connected.value && !p.paired.value && !p.bonded.value)
                        return;
                d = device_new(b, path);
                if (!d) {
                        log_debug("Bluetooth: too many devices");
                        return;
                }
                fresh = !whole && p.bonded.value;
        } else
                fresh = p.bonded.known && p.bonded.value && !d->bonded;
        apply(d, &p);
        d->fresh = d->fresh || fresh;
        if (d->fresh && d->connected && d->address[0]) /* at once: its first readings come right behind */
                settle(d);
        else if (d->fresh || (!whole && d->address[0] == '\0'))
                ask(d);
        else if (!d->asking && !d->connected && !d->paired && !d->bonded)
                device_free(d);
}

void ble_device_gone(struct ble *b, const char *path) {
        struct ble_device *d = ble_device_find(b, path);

        if (d)
                device_free(d);
}

void ble_devices_gone(struct ble *b) {
        while (b->devices)
                device_free(b->devices);
}

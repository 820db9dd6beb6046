/* SPDX-License-Identifier: MIT */

/* bluetoothd and its adapter: found, lost, found again; and what has to be done there, one step after the
 * other. A step that fails is tried again, so that whatever was late is there within seconds. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ble-internal.h"
#include "clock.h"
#include "log.h"

#define RETRY_USEC (2 * USEC_PER_SEC)

/* Another program that wants phones to pair at any time is not fought with faster than that. */
#define PAIRABLE_AGAIN_USEC (5 * USEC_PER_SEC)

#define ALL_STEPS ((1u << _BLE_STEP_MAX) - 1)

static const char *const step_names[] = {
        [BLE_STEP_POWER] = "switch the adapter on",
        [BLE_STEP_APPLICATION] = "register the services",
        [BLE_STEP_AGENT_UNREGISTER] = "take the pairing agent back",
        [BLE_STEP_AGENT_REGISTER] = "register the pairing agent",
        [BLE_STEP_AGENT_DEFAULT] = "make the pairing agent the one that is asked",
        [BLE_STEP_PAIRABLE] = "say whether phones may pair",
        [BLE_STEP_ADVERT_A] = "advertise the SmartBMS service",
        [BLE_STEP_ADVERT_B] = "advertise the line protocol",
};
_Static_assert(sizeof(step_names) / sizeof(*step_names) == _BLE_STEP_MAX, "a step without a name");

/* ---- steps --------------------------------------------------------------------------------------------- */

static void run(struct ble *b);
static void ask_objects(struct ble *b);

static void retry_later(struct ble *b) {
        int r;

        r = sd_event_source_set_time_relative(b->step_retry, RETRY_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->step_retry, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error("Bluetooth: cannot arm a timer: %s", strerror(-r));
}

static int on_step_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        struct ble *b = userdata;

        (void)s, (void)usec;
        if (b->adapter[0] == '\0')
                ask_objects(b);
        else {
                b->todo |= b->again;
                b->again = 0;
                run(b);
        }
        return 0;
}

/* What this answer means: is it as if the step had worked? */
static bool harmless(enum ble_step step, const sd_bus_error *e) {
        switch (step) {
        case BLE_STEP_APPLICATION:
        case BLE_STEP_AGENT_REGISTER:
        case BLE_STEP_ADVERT_A:
        case BLE_STEP_ADVERT_B:
                return sd_bus_error_has_name(e, BLUEZ_ERROR "AlreadyExists");
        case BLE_STEP_AGENT_UNREGISTER:
                return sd_bus_error_has_name(e, BLUEZ_ERROR "DoesNotExist");
        default:
                return false;
        }
}

static void step_failed(struct ble *b, enum ble_step step, const char *why) {
        log_full(b->failed & 1u << step ? LOG_DEBUG : LOG_WARNING, "Bluetooth: cannot %s: %s",
                 step_names[step], why);
        b->failed |= 1u << step;
        b->again |= 1u << step;
        if (b->window.open && (1u << step & BLE_STEPS_AGENT))
                ble_agent_close(b, BLE_WINDOW_FAILED, "cannot %s: %s", step_names[step], why);
        retry_later(b);
}

static void step_done(struct ble *b, enum ble_step step) {
        b->failed &= ~(1u << step);
        if (step == BLE_STEP_PAIRABLE)
                ble_agent_opened(b);
        if (b->todo != 0 || b->again != 0 || b->registered_logged)
                return;
        log_info("Bluetooth: registered with adapter %s, %s", strrchr(b->adapter, '/') + 1, b->adapter_address);
        b->registered_logged = true;
}

static int on_step(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const enum ble_step step = (enum ble_step)b->running;

        (void)ret_error;
        b->running = -1;
        b->step_slot = sd_bus_slot_unref(b->step_slot);
        if (b->todo & 1u << step) {
                /* it was asked for again meanwhile: this answer is of no interest */
        } else if (e && !harmless(step, e)) {
                step_failed(b, step, e->message ? e->message : e->name);
        } else
                step_done(b, step);
        run(b);
        return 0;
}

static int send_step(struct ble *b, enum ble_step step) {
        sd_bus_message *m = NULL;
        int r;

        switch (step) {
        case BLE_STEP_POWER:
                if (b->powered)
                        return -ENOENT;
                return ble_call_set(b, b->adapter, BLUEZ_ADAPTER, "Powered", true, on_step, &b->step_slot);
        case BLE_STEP_PAIRABLE:
                return ble_call_set(b, b->adapter, BLUEZ_ADAPTER, "Pairable", b->window.open, on_step,
                                    &b->step_slot);
        case BLE_STEP_APPLICATION:
                r = ble_application_register(b, &m);
                break;
        case BLE_STEP_AGENT_UNREGISTER:
        case BLE_STEP_AGENT_REGISTER:
        case BLE_STEP_AGENT_DEFAULT:
                r = ble_agent_register(b, step, &m);
                break;
        case BLE_STEP_ADVERT_A:
        case BLE_STEP_ADVERT_B:
                r = ble_advert_register(b, step, &m);
                break;
        case _BLE_STEP_MAX:
        default:
                return -EINVAL;
        }
        if (r >= 0)
                r = ble_call(b, m, on_step, b, &b->step_slot);
        sd_bus_message_unref(m);
        return r;
}

/* The next step, if none is awaited. */
static void run(struct ble *b) {
        int r;

        while (b->running < 0 && b->todo != 0 && b->adapter[0] != '\0') {
                const enum ble_step step = (enum ble_step)(ffs((int)b->todo) - 1);

                b->todo &= ~(1u << step);
                r = send_step(b, step);
                if (r == -ENOENT) { /* nothing to be done */
                        step_done(b, step);
                        continue;
                }
                if (r < 0) {
                        step_failed(b, step, strerror(-r));
                        continue;
                }
                b->running = (int)step;
        }
}

void ble_adapter_do(struct ble *b, unsigned steps) {
        b->todo |= steps;
        run(b);
}

/* ---- the adapter --------------------------------------------------------------------------------------- */

struct adapter_properties {
        char address[BLE_ADDRESS_SIZE];
        struct maybe powered, pairable;
};

static int take_adapter_property(sd_bus_message *m, const char *name, void *userdata) {
        struct adapter_properties *p = userdata;
        struct maybe *flag = strcmp(name, "Powered") == 0    ? &p->powered
                             : strcmp(name, "Pairable") == 0 ? &p->pairable
                                                             : NULL;
        const char *text;
        int r, v;

        if (flag) {
                r = sd_bus_message_read(m, "v", "b", &v);
                *flag = r < 0 ? *flag : some(v);
                return r < 0 ? r : 1;
        }
        if (strcmp(name, "Address") == 0) {
                r = sd_bus_message_read(m, "v", "s", &text);
                if (r >= 0 && strlen(text) < sizeof(p->address))
                        strcpy(p->address, text);
                return r < 0 ? r : 1;
        }
        return 0;
}

static bool adapter_wanted(const struct ble *b, const char *path, const char *address) {
        const char *wanted = b->config.adapter, *name = strrchr(path, '/');

        if (wanted[0] == '\0')
                return true;
        return strcasecmp(wanted, address) == 0 || (name && strcmp(name + 1, wanted) == 0);
}

static void adapter_changed(struct ble *b, const struct adapter_properties *p) {
        const usec_t now = clock_now();

        if (p->powered.known && (bool)p->powered.value != b->powered) {
                b->powered = p->powered.value;
                if (b->powered) /* what was advertised before is gone */
                        ble_adapter_do(b, 1u << BLE_STEP_PAIRABLE | BLE_STEPS_ADVERTS);
                else
                        log_notice("Bluetooth: adapter %s is switched off", b->adapter_address);
        }
        if (p->pairable.known)
                b->pairable = p->pairable.value;
        if (p->pairable.known && b->pairable && !b->window.open && b->running < 0 && b->todo == 0 &&
            (b->pairable_at == 0 || usec_since(now, b->pairable_at) >= PAIRABLE_AGAIN_USEC)) {
                log_notice("Bluetooth: another program lets devices pair; not with our service outside a "
                           "window");
                b->pairable_at = now;
                ble_adapter_do(b, 1u << BLE_STEP_PAIRABLE);
        }
}

static void adapter_take(struct ble *b, const char *path, const struct adapter_properties *p) {
        (void)snprintf(b->adapter, sizeof(b->adapter), "%s", path);
        memcpy(b->adapter_address, p->address, sizeof(b->adapter_address));
        b->powered = p->powered.known && p->powered.value;
        b->pairable = p->pairable.known && p->pairable.value;
        b->absence_logged = false;
        b->failed = 0;
        ble_adapter_do(b, ALL_STEPS);
}

static void adapter_lost(struct ble *b, const char *why) {
        b->todo = b->again = 0;
        b->running = -1;
        b->registered_logged = false;
        b->step_slot = sd_bus_slot_unref(b->step_slot);
        if (b->step_retry)
                (void)sd_event_source_set_enabled(b->step_retry,
                                                  SD_EVENT_OFF); /* at worst it finds nothing to do */
        ble_devices_gone(b);
        if (b->adapter[0] == '\0')
                return;
        b->adapter[0] = b->adapter_address[0] = '\0';
        b->powered = b->pairable = false;
        if (b->window.open)
                ble_agent_close(b, BLE_WINDOW_FAILED, "%s", why);
        if (!b->ending)
                log_notice("Bluetooth: %s; waiting for it", why);
        b->absence_logged = true;
}

/* ---- what bluetoothd has ------------------------------------------------------------------------------- */

/* The best of those seen in one answer: "the first" is the one with the lowest name. */
struct candidate {
        char path[BLE_PATH_MAX];
        struct adapter_properties properties;
};

static bool below(const char *path, const char *above) {
        size_t n = strlen(above);

        return n > 0 && strncmp(path, above, n) == 0 && path[n] == '/';
}

/* hci2 is before hci10. */
static bool comes_before(const char *a, const char *b) {
        return strlen(a) != strlen(b) ? strlen(a) < strlen(b) : strcmp(a, b) < 0;
}

/* m: at an object's a{sa{sv}}. One pass for adapters, one for the devices of the adapter that was chosen. */
static int read_object(struct ble *b, sd_bus_message *m, const char *path, struct candidate *best) {
        const char *interface;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                if (r < 0)
                        return r;
                if (best && strcmp(interface, BLUEZ_ADAPTER) == 0) {
                        struct adapter_properties p = {0};

                        r = ble_read_properties(m, take_adapter_property, &p);
                        if (r >= 0 && strlen(path) < BLE_PATH_MAX && adapter_wanted(b, path, p.address) &&
                            (best->path[0] == '\0' || comes_before(path, best->path))) {
                                strcpy(best->path, path);
                                best->properties = p;
                        }
                } else if (!best && strcmp(interface, BLUEZ_DEVICE) == 0 && below(path, b->adapter)) {
                        ble_device_take(b, path, m, true);
                        r = 1;
                } else
                        r = sd_bus_message_skip(m, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(struct ble *b, sd_bus_message *m, struct candidate *best) {
        const char *path;
        int r;

        r = sd_bus_message_rewind(m, true);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_read(m, "o", &path);
                if (r >= 0)
                        r = read_object(b, m, path, best);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static void say_absent(struct ble *b, const char *what) {
        if (!b->absence_logged)
                log_notice("Bluetooth: %s; phones are served when there is", what);
        b->absence_logged = true;
}

static int on_objects(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;
        struct candidate best = {0};
        const sd_bus_error *e = sd_bus_message_get_error(m);
        int r;

        (void)ret_error;
        b->asking_objects = sd_bus_slot_unref(b->asking_objects);
        if (e) {
                log_debug("Bluetooth: bluetoothd does not say what it has: %s", e->message);
                retry_later(b);
                return 0;
        }
        if (b->adapter[0] != '\0')
                return 0;
        r = read_objects(b, m, &best);
        if (r < 0)
                log_warning("Bluetooth: cannot read what bluetoothd has: %s", strerror(-r));
        else if (best.path[0] == '\0')
                say_absent(b, b->config.adapter[0] ? "no adapter as ble.adapter names it" : "no adapter");
        else {
                adapter_take(b, best.path, &best.properties);
                r = read_objects(b, m, NULL);
                if (r < 0)
                        log_warning("Bluetooth: cannot read bluetoothd's devices: %s", strerror(-r));
        }
        return 0;
}

static void ask_objects(struct ble *b) {
        sd_bus_message *m = NULL;
        int r;

        if (b->asking_objects || b->owner[0] == '\0')
                return;
        r = ble_call_new(b, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &m);
        if (r >= 0)
                r = ble_call(b, m, on_objects, b, &b->asking_objects);
        sd_bus_message_unref(m);
        if (r < 0)
                log_warning("Bluetooth: cannot ask bluetoothd: %s", strerror(-r));
}

static int on_added(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;
        const char *path;

        (void)ret_error;
        if (!ble_from_bluez(b, m) || sd_bus_message_read(m, "o", &path) < 0)
                return 0;
        if (b->adapter[0] == '\0')
                ask_objects(b); /* whole: devices may have been announced before it */
        else if (below(path, b->adapter) && read_object(b, m, path, NULL) < 0)
                log_debug("Bluetooth: a signal cannot be read");
        return 0;
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;
        const char *path, *interface;

        (void)ret_error;
        if (!ble_from_bluez(b, m) || sd_bus_message_read(m, "o", &path) < 0 ||
            sd_bus_message_enter_container(m, 'a', "s") < 0)
                return 0;
        while (sd_bus_message_read(m, "s", &interface) > 0)
                if (strcmp(interface, BLUEZ_DEVICE) == 0)
                        ble_device_gone(b, path);
                else if (strcmp(interface, BLUEZ_ADAPTER) == 0 && strcmp(path, b->adapter) == 0) {
                        adapter_lost(b, "the adapter is gone");
                        ask_objects(b); /* another one may do */
                }
        return 0;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;
        const char *path = sd_bus_message_get_path(m), *interface;

        (void)ret_error;
        if (!ble_from_bluez(b, m) || b->adapter[0] == '\0' || sd_bus_message_read(m, "s", &interface) < 0)
                return 0;
        if (strcmp(interface, BLUEZ_DEVICE) == 0 && below(path, b->adapter))
                ble_device_take(b, path, m, false);
        else if (strcmp(interface, BLUEZ_ADAPTER) == 0 && strcmp(path, b->adapter) == 0) {
                struct adapter_properties p = {0};

                if (ble_read_properties(m, take_adapter_property, &p) >= 0)
                        adapter_changed(b, &p);
        }
        return 0;
}

/* ---- bluetoothd ---------------------------------------------------------------------------------------- */

static void owner_is(struct ble *b, const char *owner) {
        if (strcmp(b->owner, owner) == 0)
                return;
        if (b->owner[0] != '\0') {
                b->owner[0] = '\0';
                b->asking_objects = sd_bus_slot_unref(b->asking_objects);
                adapter_lost(b, "bluetoothd is gone");
        }
        if (owner[0] == '\0' || strlen(owner) >= sizeof(b->owner))
                return;
        strcpy(b->owner, owner);
        ask_objects(b);
}

/* sd-bus matches signals that are sent to us alone without looking at their sender. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *sender = sd_bus_message_get_sender(m), *name, *old, *new;

        (void)ret_error;
        if (sender && strcmp(sender, "org.freedesktop.DBus") == 0 &&
            sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 && strcmp(name, BLUEZ_NAME) == 0)
                owner_is(userdata, new);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;
        const char *owner;

        (void)ret_error;
        b->asking_owner = sd_bus_slot_unref(b->asking_owner);
        if (sd_bus_message_is_method_error(m, NULL))
                say_absent(b, "no bluetoothd");
        else if (sd_bus_message_read(m, "s", &owner) >= 0)
                owner_is(b, owner);
        return 0;
}

int ble_adapter_start(struct ble *b) {
        static const char changed[] =
                "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" BLUEZ_NAME "'";
        sd_bus *bus = b->connection;
        int r = 0;

        if (!b->step_retry) {
                r = sd_event_add_time(b->event, &b->step_retry, CLOCK_BOOTTIME, 0, 0, on_step_retry, b);
                if (r >= 0)
                        r = sd_event_source_set_priority(b->step_retry, BLE_PRIORITY);
                if (r >= 0)
                        r = sd_event_source_set_enabled(b->step_retry, SD_EVENT_OFF);
        }
        if (r >= 0)
                r = sd_bus_add_match_async(bus, NULL, changed, on_owner_changed, NULL, b);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, BLUEZ_NAME, "/",
                                              "org.freedesktop.DBus.ObjectManager", "InterfacesAdded",
                                              on_added, NULL, b);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, BLUEZ_NAME, "/",
                                              "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved",
                                              on_removed, NULL, b);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, BLUEZ_NAME, NULL, "org.freedesktop.DBus.Properties",
                                              "PropertiesChanged", on_properties, NULL, b);
        if (r >= 0)
                r = sd_bus_call_method_async(bus, &b->asking_owner, "org.freedesktop.DBus",
                                             "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner",
                                             on_owner, b, "s", BLUEZ_NAME);
        return r;
}

void ble_adapter_reset(struct ble *b) {
        b->asking_owner = sd_bus_slot_unref(b->asking_owner);
        b->asking_objects = sd_bus_slot_unref(b->asking_objects);
        b->owner[0] = '\0';
        adapter_lost(b, "the bus is gone");
}

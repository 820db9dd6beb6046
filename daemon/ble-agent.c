/* SPDX-License-Identifier: MIT */

/* The pairing agent and its window. Outside the window it has neither input nor output and rejects; that, and
 * not Pairable, is what keeps strangers out: a phone that asks for no bonding pairs with an agent that
 * accepts whatever Pairable says, and with one that displays it gets as far as a passkey without anybody
 * being asked. */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ble-internal.h"
#include "clock.h"
#include "log.h"

#define AGENT_INTERFACE BLUEZ_NAME ".Agent1"

static void report(struct ble *b, enum ble_window state, const char *phone, uint32_t passkey,
                   const char *sentence) {
        const struct ble_report r = {state, phone, passkey, sentence};

        b->callbacks.window(b->callbacks.userdata, &r);
}

/* ---- the window ---------------------------------------------------------------------------------------- */

static int on_window_end(sd_event_source *s, uint64_t usec, void *userdata) {
        (void)s, (void)usec;
        ble_agent_close(userdata, BLE_WINDOW_CLOSED, "the time is over");
        return 0;
}

int ble_agent_prepare(struct ble *b) {
        int r;

        r = sd_event_add_time(b->event, &b->window_end, CLOCK_BOOTTIME, 0, USEC_PER_SEC / 10, on_window_end,
                              b);
        if (r >= 0)
                r = sd_event_source_set_priority(b->window_end, BLE_PRIORITY);
        return r < 0 ? r : sd_event_source_set_enabled(b->window_end, SD_EVENT_OFF);
}

int ble_pair(struct ble *b, unsigned seconds, bool just_works, char *ret_error, size_t size) {
        int r;

        if (seconds < BLE_SECONDS_MIN || seconds > BLE_SECONDS_MAX) {
                (void)snprintf(ret_error, size, "%u seconds; expected %u to %u", seconds, BLE_SECONDS_MIN,
                               BLE_SECONDS_MAX);
                return -EINVAL;
        }
        if (!ble_adapter_ready(b)) {
                (void)snprintf(ret_error, size,
                               "there is no Bluetooth adapter now, or bluetoothd does not run");
                return -ENODEV;
        }
        if (b->n_phones == BLE_PHONES_MAX) {
                (void)snprintf(ret_error, size,
                               "%u phones are paired, which is as many as can be: remove one first",
                               BLE_PHONES_MAX);
                return -ENOSPC;
        }
        if (b->window.open)
                ble_agent_close(b, BLE_WINDOW_CLOSED, "another one was opened");
        r = sd_event_source_set_time_relative(b->window_end, seconds * USEC_PER_SEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->window_end, SD_EVENT_ONESHOT);
        if (r < 0) { /* a window that nothing ends is none */
                (void)snprintf(ret_error, size, "cannot set a timer: %s", strerror(-r));
                return r;
        }
        b->window = (struct ble_window_state){
                .open = true, .just_works = just_works, .serial = b->window.serial + 1};
        ble_adapter_do(b, BLE_STEPS_AGENT);
        return 0;
}

void ble_agent_opened(struct ble *b) {
        if (!b->window.open || b->window.announced)
                return;
        b->window.announced = true;
        report(b, BLE_WINDOW_OPENED, NULL, 0, NULL);
}

void ble_agent_close(struct ble *b, enum ble_window how, const char *format, ...) {
        char sentence[ALARM_TEXT_MAX];
        va_list ap;

        if (!b->window.open)
                return;
        va_start(ap, format);
        (void)vsnprintf(sentence, sizeof(sentence), format, ap);
        va_end(ap);
        b->window.open = false;
        (void)sd_event_source_set_enabled(b->window_end,
                                          SD_EVENT_OFF); /* at worst it finds the window closed */
        if (ble_adapter_ready(b)) /* at once, we may be about to end; and again behind the agent, which can undo it */
                (void)ble_call_set(b, b->adapter, BLUEZ_ADAPTER, "Pairable", false, NULL, NULL);
        ble_adapter_do(b, BLE_STEPS_AGENT);
        if (!b->ending)
                report(b, how, NULL, 0, sentence);
}

void ble_close_window(struct ble *b) {
        if (b)
                ble_agent_close(b, BLE_WINDOW_CLOSED, "it was closed");
}

void ble_agent_paired(struct ble *b, const struct ble_device *d) {
        report(b, BLE_WINDOW_PAIRED, d->address, 0, NULL);
        ble_agent_close(b, BLE_WINDOW_CLOSED, "a phone was paired");
}

/* ---- what bluetoothd asks ------------------------------------------------------------------------------ */

static int reject(sd_bus_error *ret_error) {
        return sd_bus_error_set(ret_error, BLUEZ_ERROR "Rejected", "no pairing window is open for this");
}

static const char *address_of(const struct ble_device *d) {
        return d && d->address[0] ? d->address : "a device";
}

/* Says no within a window, with the reason; outside it nobody waits for one. */
static int refuse(struct ble *b, struct ble_device *d, sd_bus_error *ret_error, const char *why) {
        if (d)
                d->approved = 0;
        if (b->window.open) {
                log_notice("Bluetooth: %s may not pair: %s", address_of(d), why);
                report(b, BLE_WINDOW_REFUSED, d && d->address[0] ? d->address : NULL, 0, why);
        }
        return reject(ret_error);
}

static void approve(struct ble *b, struct ble_device *d) {
        d->approved = b->window.serial;
        d->approved_at = clock_now();
}

static const char still_bonded[] =
        "it was paired before and has lost its keys: smartbmsctl phones remove it first, and "
        "have the phone forget the gateway, too";

/* Everyone on the machine can read events; once a connection. */
static void lost_keys_event(struct ble *b, struct ble_device *d) {
        if (d->complained || !b->window.open)
                return;
        d->complained = true;
        ble_event(b, "phone that ends in %s was paired before and has lost its keys: refused until it is removed",
                  ble_address_end(d->address));
}

/* bluetoothd lets no device with a bond pair again without a passkey, and does not ask us about it
 * (JustWorksRepairing, "never" by default): what we see is that it comes and goes. */
void ble_agent_silent(struct ble *b, const struct ble_device *d) {
        if (b->window.open && b->window.announced)
                report(b, BLE_WINDOW_REFUSED, d->address, 0,
                       "it is paired already, and has asked for nothing: if it has lost its keys, smartbmsctl phones "
                       "remove it first, and have the phone forget the gateway, too");
}

static int on_authorization(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;
        struct ble_device *d;
        const char *path;
        int r;

        if (!ble_from_bluez(b, m))
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_ACCESS_DENIED, "only bluetoothd may ask");
        r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return r;
        d = ble_device_get(b, path);
        if (!d || !b->window.open)
                return refuse(b, d, ret_error, "no window is open");
        if (d->bonded) {
                lost_keys_event(b, d);
                return refuse(b, d, ret_error, still_bonded);
        }
        if (!b->window.just_works)
                return refuse(b, d, ret_error,
                              "it can show or take no passkey, and this window is for phones that do");
        approve(b, d);
        return sd_bus_reply_method_return(m, NULL);
}

/* Nothing to be refused here, it has been accepted already: but without the passkey nobody gets in. */
static int on_display_passkey(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;
        struct ble_device *d;
        const char *path;
        uint32_t passkey;
        uint16_t entered;
        int r;

        if (!ble_from_bluez(b, m))
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_ACCESS_DENIED, "only bluetoothd may ask");
        r = sd_bus_message_read(m, "ouq", &path, &passkey, &entered);
        if (r < 0)
                return r;
        d = ble_device_get(b, path);
        if (!d || !b->window.open || b->window.just_works || d->bonded) {
                if (d)
                        ble_device_disconnect(b, d);
                if (d && d->bonded)
                        lost_keys_event(b, d);
                return refuse(b, d, ret_error, d && d->bonded ? still_bonded : "no window is open");
        }
        if (entered == 0) { /* else a key was typed */
                approve(b, d);
                report(b, BLE_WINDOW_PASSKEY, d->address[0] ? d->address : NULL, passkey, NULL);
        }
        return sd_bus_reply_method_return(m, NULL);
}

/* What our capabilities never lead to, and devices of other kinds, which are not ours to let in. */
static int on_other(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void)m, (void)userdata;
        return reject(ret_error);
}

static int on_notice(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void)userdata, (void)ret_error;
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable agent_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Release", "", "", on_notice, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Cancel", "", "", on_notice, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestAuthorization", "o", "", on_authorization, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("DisplayPasskey", "ouq", "", on_display_passkey, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestConfirmation", "ou", "", on_other, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestPasskey", "o", "u", on_other, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestPinCode", "o", "s", on_other, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("DisplayPinCode", "os", "", on_other, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AuthorizeService", "os", "", on_other, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int ble_agent_add(struct ble *b) {
        return sd_bus_add_object_vtable(b->connection, NULL, BLE_PATH_AGENT, AGENT_INTERFACE, agent_table, b);
}

int ble_agent_register(struct ble *b, enum ble_step step, sd_bus_message **ret) {
        const char *member = step == BLE_STEP_AGENT_UNREGISTER ? "UnregisterAgent"
                             : step == BLE_STEP_AGENT_REGISTER ? "RegisterAgent"
                                                               : "RequestDefaultAgent";
        int r;

        r = ble_call_new(b, "/org/bluez", BLUEZ_NAME ".AgentManager1", member, ret);
        if (r >= 0)
                r = sd_bus_message_append(*ret, "o", BLE_PATH_AGENT);
        if (r >= 0 && step == BLE_STEP_AGENT_REGISTER)
                r = sd_bus_message_append(*ret, "s",
                                          b->window.open && !b->window.just_works ? "DisplayOnly"
                                                                                  : "NoInputNoOutput");
        return r;
}

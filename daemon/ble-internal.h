/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of the Bluetooth door share: ble.c (the connection to the bus, the public functions),
 * ble-adapter.c (bluetoothd and the adapter: found, lost, everything registered in order), ble-application.c
 * (GATT by a table), ble-services.c (that table: what is read and written), ble-advert.c (advertisements),
 * ble-agent.c (pairing), ble-phones.c (devices as bluetoothd has them, and the list), ble-phones-file.c (the
 * list on the card). */

#include <systemd/sd-bus.h>

#include "ble.h"
#include "gatt.h"
#include "worker.h"

/* In the loop: behind readings, relays and the D-Bus door. */
#define BLE_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 20)

#define BLUEZ_NAME "org.bluez"
#define BLUEZ_ADAPTER "org.bluez.Adapter1"
#define BLUEZ_DEVICE "org.bluez.Device1"
#define BLUEZ_ERROR "org.bluez.Error."

/* Our own objects. Below the application there is nothing but it: bluetoothd looks at all of it. */
#define BLE_PATH_APPLICATION "/org/smartbms1/ble"
#define BLE_PATH_AGENT "/org/smartbms1/agent"
#define BLE_PATH_ADVERT "/org/smartbms1/advert"

#define BLE_UUID_NUS "6e400001-b5a3-f393-e0a9-e50e24dcca9e"

#define BLE_VALUE_MAX GATT_VALUE_MAX
#define BLE_NOTIFY_MAX 20U /* what is never cut, whatever the MTU */
#define BLE_SESSIONS_MAX 16U
#define BLE_DEVICES_MAX 128U
#define BLE_PATH_MAX 128U

/* What has to be done at bluetoothd, in this order: Pairable comes after the agent, for making an agent the
 * default one can switch it on. */
enum ble_step {
        BLE_STEP_POWER,
        BLE_STEP_APPLICATION,
        BLE_STEP_AGENT_UNREGISTER,
        BLE_STEP_AGENT_REGISTER,
        BLE_STEP_AGENT_DEFAULT,
        BLE_STEP_PAIRABLE,
        BLE_STEP_ADVERT_A,
        BLE_STEP_ADVERT_B,
        _BLE_STEP_MAX,
};

#define BLE_STEPS_AGENT                                                                                      \
        (1u << BLE_STEP_AGENT_UNREGISTER | 1u << BLE_STEP_AGENT_REGISTER | 1u << BLE_STEP_AGENT_DEFAULT |    \
         1u << BLE_STEP_PAIRABLE)
#define BLE_STEPS_ADVERTS (1u << BLE_STEP_ADVERT_A | 1u << BLE_STEP_ADVERT_B)

struct ble_session; /* ble-services.c */

/* A device as bluetoothd has it: one that is connected, paired or bonded. */
struct ble_device {
        struct ble *ble;
        struct ble_device *next;
        char path[BLE_PATH_MAX];
        char address[BLE_ADDRESS_SIZE]; /* "" = not known yet. The identity's, once it is bonded */
        bool random, connected, paired, bonded;
        char name[BLE_PHONE_NAME_MAX + 1];
        uint64_t approved; /* the window in which our agent said yes to it; 0 = none */
        usec_t approved_at;
        bool fresh;   /* bonded just now: to be put on the list, or off it, once its address is known */
        bool touched; /* it has read or written without being allowed to; to be judged when asking is over */
        bool complained;             /* said once a connection */
        sd_bus_slot *asking;         /* GetAll */
        struct ble_session *session; /* NULL = none */
};

struct ble_window_state {
        bool open, just_works;
        bool announced;  /* OPENED was reported */
        uint64_t serial; /* rises with each window; the first is 1 */
};

struct ble_characteristic_object; /* ble-application.c */

struct ble {
        sd_event *event;
        char *bus_address;
        struct config_ble config;
        char directory[256];
        struct ble_callbacks callbacks;

        /* ble.c */
        sd_bus *connection; /* NULL = none now */
        sd_event_source *retry;
        bool down_logged, ending;

        /* ble-adapter.c */
        char owner[64];             /* bluetoothd's unique name; "" = it is not there */
        char adapter[BLE_PATH_MAX]; /* "" = none */
        char adapter_address[BLE_ADDRESS_SIZE];
        bool powered, pairable;
        bool absence_logged;
        sd_bus_slot *asking_owner, *asking_objects, *step_slot;
        unsigned todo, again, failed; /* steps; again: after a while; failed: said once each */
        bool registered_logged;
        int running; /* the step that is awaited; -1 = none */
        sd_event_source *step_retry;
        usec_t pairable_at; /* when it was last set against somebody else's will */

        /* ble-application.c */
        struct ble_characteristic_object *characteristics;
        size_t n_characteristics;

        /* ble-agent.c */
        struct ble_window_state window;
        sd_event_source *window_end;

        /* ble-phones.c */
        struct ble_device *devices;
        size_t n_devices;
        struct ble_phone phones[BLE_PHONES_MAX];
        size_t n_phones;

        /* ble-phones-file.c */
        struct worker *worker;
        bool writing, write_again;

        struct ble_services *services; /* ble-services.c */
};

/* ---- ble.c --------------------------------------------------------------------------------------------- */

/* The message is from bluetoothd, and not from somebody who says so. */
bool ble_from_bluez(const struct ble *b, sd_bus_message *m);

/* A call of bluetoothd that starts nothing. handler gets errors, too, timeouts among them. */
int ble_call_new(struct ble *b, const char *path, const char *interface, const char *member,
                 sd_bus_message **ret);
int ble_call(struct ble *b, sd_bus_message *m, sd_bus_message_handler_t handler, void *userdata,
             sd_bus_slot **ret);

/* The same for Properties.Set of a boolean. */
int ble_call_set(struct ble *b, const char *path, const char *interface, const char *property, bool value,
                 sd_bus_message_handler_t handler, sd_bus_slot **ret);

/* One that nothing depends on: its answer is only written in the log. */
void ble_call_and_forget(struct ble *b, sd_bus_message *m);

__attribute__((format(printf, 2, 3))) void ble_event(struct ble *b, const char *format, ...);

struct maybe64 ble_wall_sec(struct ble *b);

/* What is not printable becomes '?'; UTF-8 is not cut within a letter. */
void ble_clean_text(char *ret_text, size_t size, const char *text);

/* Walks an a{sv}. For each entry the callback gets the name with m within the variant, and reads its value:
 * 1, or returns 0 to have it skipped. */
int ble_read_properties(sd_bus_message *m, int (*take)(sd_bus_message *m, const char *name, void *userdata),
                        void *userdata);

/* ---- ble-adapter.c ------------------------------------------------------------------------------------- */

int ble_adapter_start(struct ble *b);  /* on a new connection: watches for bluetoothd */
void ble_adapter_reset(struct ble *b); /* bluetoothd or the connection is gone */
void ble_adapter_do(struct ble *b, unsigned steps);
static inline bool ble_adapter_ready(const struct ble *b) {
        return b->adapter[0] != '\0';
}

/* ---- ble-application.c --------------------------------------------------------------------------------- */

int ble_application_prepare(struct ble *b);
int ble_application_add(struct ble *b); /* to a new connection */
int ble_application_register(struct ble *b, sd_bus_message **ret);
void ble_application_notify(struct ble *b, unsigned id, const uint8_t *value, size_t size);

/* ---- ble-services.c: what the table says --------------------------------------------------------------- */

/* A row. Everything but a public reading needs an encrypted link (the flags) and a phone of the list (our
 * code). */
struct ble_characteristic {
        const char *service, *uuid; /* rows of a service stand together */
        const char *const *flags;   /* GattCharacteristic1.Flags, NULL-terminated */
        bool readable, writable;
        bool open; /* read by anyone: ble.public_battery */
        unsigned id;
};

/* How many rows there are with this config; and each. */
size_t ble_services_count(const struct ble *b);
struct ble_characteristic ble_services_row(const struct ble *b, size_t i);

/* d: NULL = a public reading. From offset on. Errors as of gatt.h. */
enum gatt_error ble_services_read(struct ble *b, struct ble_device *d, unsigned id, size_t offset,
                                  uint8_t ret_value[BLE_VALUE_MAX], size_t *ret_size);
enum gatt_error ble_services_write(struct ble *b, struct ble_device *d, unsigned id, size_t offset,
                                   const uint8_t *value, size_t size);
void ble_services_publish(struct ble *b);
void ble_services_answer(struct ble *b, uint64_t token, const struct phone_answer *answer);
void ble_services_end(struct ble_device *d); /* it is disconnected */
void ble_services_log_out(struct ble *b, const char *but);
int ble_services_new(struct ble *b);
void ble_services_free(struct ble *b); /* after all devices are gone */

/* ---- ble-advert.c -------------------------------------------------------------------------------------- */

int ble_advert_add(struct ble *b);
int ble_advert_register(struct ble *b, enum ble_step step, sd_bus_message **ret); /* -ENOENT: none such */
void ble_name(const struct ble *b, char *ret_name, size_t size);

/* ---- ble-agent.c --------------------------------------------------------------------------------------- */

int ble_agent_prepare(struct ble *b);
int ble_agent_add(struct ble *b);
int ble_agent_register(struct ble *b, enum ble_step step, sd_bus_message **ret);
void ble_agent_opened(struct ble *b); /* Pairable is as wanted */
__attribute__((format(printf, 3, 4))) void ble_agent_close(struct ble *b, enum ble_window how,
                                                           const char *format, ...);
void ble_agent_paired(struct ble *b, const struct ble_device *d);
void ble_agent_silent(struct ble *b, const struct ble_device *d); /* one of the list has come and gone, no more */

/* ---- ble-phones.c -------------------------------------------------------------------------------------- */

struct ble_device *ble_device_find(struct ble *b, const char *path);
struct ble_device *ble_device_get(struct ble *b,
                                  const char *path); /* also one not heard of yet; NULL = too many */
void ble_device_take(struct ble *b, const char *path, sd_bus_message *properties, bool whole);
void ble_device_gone(struct ble *b, const char *path);
void ble_devices_gone(struct ble *b);

bool ble_device_may(const struct ble_device *d); /* it is a phone of the list */

/* One that may not has read or written. */
void ble_device_refused(struct ble *b, const char *path);
bool ble_any_phone_connected(const struct ble *b);
void ble_device_disconnect(struct ble *b, const struct ble_device *d);

/* ---- ble-phones-file.c --------------------------------------------------------------------------------- */

int ble_phones_file_start(struct ble *b); /* reads it */
void ble_phones_file_put(struct ble *b);  /* the list has changed */
void ble_phones_file_stop(struct ble *b);

/* The file's text, and back; -EINVAL: ret_error says what is wrong. */
#define BLE_PHONES_TEXT_MAX 4096U
int ble_phones_format(const struct ble_phone *phones, size_t n, char *ret_text, size_t size);
int ble_phones_parse(const char *text, struct ble_phone ret_phones[BLE_PHONES_MAX], size_t *ret_n,
                     char *ret_error, size_t size);

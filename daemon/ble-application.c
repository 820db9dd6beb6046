/* SPDX-License-Identifier: MIT */

/* The GATT application: the rows of ble-services.c as objects on the bus, and who may read and write them.
 * bluetoothd looks at the flags before it asks us, but not always (a characteristic that is only notified is
 * read by anyone), so everything is looked at here again. Neither AcquireNotify nor AcquireWrite: their
 * sockets do not tell phones apart. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ble-internal.h"
#include "log.h"

#define SERVICE_INTERFACE BLUEZ_NAME ".GattService1"
#define CHARACTERISTIC_INTERFACE BLUEZ_NAME ".GattCharacteristic1"

#define PATH_MAX_OWN 64

struct ble_characteristic_object {
        struct ble *ble;
        struct ble_characteristic row;
        unsigned service;
        char path[PATH_MAX_OWN];
};

static void service_path(unsigned service, char ret[static PATH_MAX_OWN]) {
        (void)snprintf(ret, PATH_MAX_OWN, BLE_PATH_APPLICATION "/service%02u", service);
}

/* ---- reading and writing ------------------------------------------------------------------------------- */

struct options {
        const char *device;
        uint16_t offset, mtu;
        int prepare; /* asked before a long write, with nothing to be done yet */
};

static int take_option(sd_bus_message *m, const char *name, void *userdata) {
        struct options *o = userdata;
        int r;

        if (strcmp(name, "device") == 0)
                r = sd_bus_message_read(m, "v", "o", &o->device);
        else if (strcmp(name, "offset") == 0)
                r = sd_bus_message_read(m, "v", "q", &o->offset);
        else if (strcmp(name, "mtu") == 0)
                r = sd_bus_message_read(m, "v", "q", &o->mtu);
        else if (strcmp(name, "prepare-authorize") == 0)
                r = sd_bus_message_read(m, "v", "b", &o->prepare);
        else
                return 0;
        return r < 0 ? r : 1;
}

static int att_error(sd_bus_error *ret_error, enum gatt_error error) {
        char name[64];

        (void)snprintf(name, sizeof(name), BLUEZ_ERROR "%s", gatt_error_name(error));
        return sd_bus_error_set(ret_error, name, gatt_error_message(error));
}

/* Whose request it is; NULL with an error: not one of our phones, and not open to others. */
static struct ble_device *who(struct ble_characteristic_object *c, const char *path, bool open,
                              enum gatt_error *ret_error) {
        struct ble_device *d = path ? ble_device_find(c->ble, path) : NULL;

        *ret_error = GATT_OK;
        if (d && ble_device_may(d))
                return d;
        if (open)
                return NULL;
        if (path)
                ble_device_refused(c->ble, path);
        *ret_error = GATT_ERROR_INSUFFICIENT_AUTHORISATION;
        return NULL;
}

static int on_read(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble_characteristic_object *c = userdata;
        struct options o = {0};
        struct ble_device *d;
        uint8_t value[BLE_VALUE_MAX];
        sd_bus_message *reply = NULL;
        size_t size = 0;
        enum gatt_error error;
        int r;

        if (!ble_from_bluez(c->ble, m))
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_ACCESS_DENIED, "only bluetoothd may ask");
        r = ble_read_properties(m, take_option, &o);
        if (r < 0)
                return r;
        if (!c->row.readable)
                return att_error(ret_error, GATT_ERROR_READ_NOT_PERMITTED);
        d = who(c, o.device, c->row.open, &error);
        if (error == GATT_OK)
                error = ble_services_read(c->ble, d, c->row.id, o.offset, value, &size);
        if (error != GATT_OK)
                return att_error(ret_error, error);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', value, size);
        if (r >= 0)
                r = sd_bus_message_send(reply);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int on_write(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble_characteristic_object *c = userdata;
        struct options o = {0};
        struct ble_device *d;
        const void *value;
        size_t size;
        enum gatt_error error;
        int r;

        if (!ble_from_bluez(c->ble, m))
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_ACCESS_DENIED, "only bluetoothd may ask");
        r = sd_bus_message_read_array(m, 'y', &value, &size);
        if (r >= 0)
                r = ble_read_properties(m, take_option, &o);
        if (r < 0)
                return r;
        if (!c->row.writable)
                return att_error(ret_error, GATT_ERROR_WRITE_NOT_PERMITTED);
        d = who(c, o.device, false, &error);
        if (error == GATT_OK && !o.prepare)
                error = ble_services_write(c->ble, d, c->row.id, o.offset, value, size);
        if (error != GATT_OK)
                return att_error(ret_error, error);
        return sd_bus_reply_method_return(m, NULL);
}

/* Names no phone, and does not come at all from a bonded one that has subscribed before: nothing is made of
 * it. */
static int on_notify(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ble_characteristic_object *c = userdata;

        if (!ble_from_bluez(c->ble, m))
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_ACCESS_DENIED, "only bluetoothd may ask");
        return sd_bus_reply_method_return(m, NULL);
}

/* An indication has arrived; of which phone it does not say. */
static int on_confirm(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return on_notify(m, userdata, ret_error);
}

/* PropertiesChanged instead of a property that could be read: who may read is decided in on_read(). */
void ble_application_notify(struct ble *b, unsigned id, const uint8_t *value, size_t size) {
        sd_bus_message *m = NULL;
        int r = -ENOENT;

        if (!b->connection || !ble_any_phone_connected(b))
                return;
        for (size_t i = 0; i < b->n_characteristics; i++) {
                const struct ble_characteristic_object *c = &b->characteristics[i];

                if (c->row.id != id)
                        continue;
                r = sd_bus_message_new_signal(b->connection, &m, c->path, "org.freedesktop.DBus.Properties",
                                              "PropertiesChanged");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", CHARACTERISTIC_INTERFACE);
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'a', "{sv}");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", "Value");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'v', "ay");
                if (r >= 0)
                        r = sd_bus_message_append_array(m, 'y', value, size);
                for (int depth = 0; r >= 0 && depth < 3; depth++)
                        r = sd_bus_message_close_container(m);
                if (r >= 0)
                        r = sd_bus_message_append(m, "as", 0);
                if (r >= 0)
                        r = sd_bus_send(b->connection, m, NULL);
                break;
        }
        sd_bus_message_unref(m);
        if (r < 0)
                log_debug("Bluetooth: cannot notify: %s", strerror(-r));
}

/* ---- what bluetoothd reads of them --------------------------------------------------------------------- */

static int get_service_uuid(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const struct ble_characteristic_object *first = userdata;

        (void)bus, (void)path, (void)interface, (void)property, (void)ret_error;
        return sd_bus_message_append(reply, "s", first->row.service);
}

static int get_primary(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        (void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)ret_error;
        return sd_bus_message_append(reply, "b", 1);
}

static int get_uuid(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const struct ble_characteristic_object *c = userdata;

        (void)bus, (void)path, (void)interface, (void)property, (void)ret_error;
        return sd_bus_message_append(reply, "s", c->row.uuid);
}

static int get_service(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const struct ble_characteristic_object *c = userdata;
        char service[PATH_MAX_OWN];

        (void)bus, (void)path, (void)interface, (void)property, (void)ret_error;
        service_path(c->service, service);
        return sd_bus_message_append(reply, "o", service);
}

static int get_flags(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const struct ble_characteristic_object *c = userdata;
        int r;

        (void)bus, (void)path, (void)interface, (void)property, (void)ret_error;
        r = sd_bus_message_open_container(reply, 'a', "s");
        for (const char *const *flag = c->row.flags; r >= 0 && *flag; flag++)
                r = sd_bus_message_append(reply, "s", *flag);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* UNPRIVILEGED in sd-bus's sense: without it, sd-bus would ask the bus about the caller and wait. */
static const sd_bus_vtable service_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("UUID", "s", get_service_uuid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Primary", "b", get_primary, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable characteristic_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("UUID", "s", get_uuid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Service", "o", get_service, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Flags", "as", get_flags, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_METHOD("ReadValue", "a{sv}", "ay", on_read, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("WriteValue", "aya{sv}", "", on_write, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartNotify", "", "", on_notify, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopNotify", "", "", on_notify, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Confirm", "", "", on_confirm, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int ble_application_prepare(struct ble *b) {
        const char *service = NULL;
        unsigned n_services = 0, n_in_service = 0;

        b->n_characteristics = ble_services_count(b);
        b->characteristics = calloc(b->n_characteristics, sizeof(*b->characteristics));
        if (!b->characteristics)
                return -ENOMEM;
        for (size_t i = 0; i < b->n_characteristics; i++) {
                struct ble_characteristic_object *c = &b->characteristics[i];
                char parent[PATH_MAX_OWN];

                c->ble = b;
                c->row = ble_services_row(b, i);
                if (!service || strcmp(c->row.service, service) != 0) {
                        service = c->row.service;
                        n_services++;
                        n_in_service = 0;
                }
                c->service = n_services - 1;
                service_path(c->service, parent);
                (void)snprintf(c->path, sizeof(c->path), "%.40s/char%02u", parent, n_in_service++);
        }
        return 0;
}

int ble_application_add(struct ble *b) {
        int r;

        r = sd_bus_add_object_manager(b->connection, NULL, BLE_PATH_APPLICATION);
        for (size_t i = 0; r >= 0 && i < b->n_characteristics; i++) {
                struct ble_characteristic_object *c = &b->characteristics[i];
                char service[PATH_MAX_OWN];

                service_path(c->service, service);
                if (i == 0 || c->service != b->characteristics[i - 1].service)
                        r = sd_bus_add_object_vtable(b->connection, NULL, service, SERVICE_INTERFACE,
                                                     service_table, c);
                if (r >= 0)
                        r = sd_bus_add_object_vtable(b->connection, NULL, c->path, CHARACTERISTIC_INTERFACE,
                                                     characteristic_table, c);
        }
        return r;
}

/* bluetoothd then asks for all of the objects, and answers when it has looked at them. */
int ble_application_register(struct ble *b, sd_bus_message **ret) {
        int r;

        r = ble_call_new(b, b->adapter, BLUEZ_NAME ".GattManager1", "RegisterApplication", ret);
        return r < 0 ? r : sd_bus_message_append(*ret, "oa{sv}", BLE_PATH_APPLICATION, 0);
}

/* SPDX-License-Identifier: MIT */

/* Two advertisements: A with our own service for whoever reads docs/bluetooth.md, B with the Nordic UART
 * Service for programs that speak the line protocol. Two, because in one there is no room for two UUIDs of
 * 128 bits (31 bytes). */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ble-internal.h"

#define ADVERT_INTERFACE BLUEZ_NAME ".LEAdvertisement1"

/* The owner's, or ours with the end of the address, so that two gateways can be told apart. */
void ble_name(const struct ble *b, char *ret_name, size_t size) {
        const char *a = b->adapter_address;

        if (b->config.name[0] != '\0' || strlen(a) != BLE_ADDRESS_SIZE - 1)
                (void)snprintf(ret_name, size, "%s", b->config.name[0] ? b->config.name : "SmartBMS");
        else
                (void)snprintf(ret_name, size, "SmartBMS-%.2s%.2s", a + 12, a + 15);
}

static bool is_b(const char *path) {
        return path[strlen(path) - 1] == 'b';
}

static int get_type(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        (void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)ret_error;
        return sd_bus_message_append(reply, "s", "peripheral");
}

static int get_uuids(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        struct ble *b = userdata;

        (void)bus, (void)interface, (void)property, (void)ret_error;
        return sd_bus_message_append(reply, "as", 1,
                                     is_b(path) ? BLE_UUID_NUS : ble_services_row(b, 0).service);
}

static int get_name(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        char name[CONFIG_BLE_NAME_MAX + 1];

        (void)bus, (void)path, (void)interface, (void)property, (void)ret_error;
        ble_name(userdata, name, sizeof(name));
        return sd_bus_message_append(reply, "s", name);
}

/* Found by phones whether or not the owner lets the adapter be found: it is only about this. */
static int get_discoverable(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        (void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)ret_error;
        return sd_bus_message_append(reply, "b", 1);
}

static int get_manufacturer(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const struct config_ble *c = &((struct ble *)userdata)->config;
        int r;

        (void)bus, (void)interface, (void)property, (void)ret_error;
        r = sd_bus_message_open_container(reply, 'a', "{qv}");
        if (r < 0 || !is_b(path) || !c->manufacturer)
                return r < 0 ? r : sd_bus_message_close_container(reply);
        r = sd_bus_message_open_container(reply, 'e', "qv");
        if (r >= 0)
                r = sd_bus_message_append(reply, "q", c->company);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', c->manufacturer_data, c->n_manufacturer_data);
        for (int depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

/* bluetoothd has no further use for it (the adapter is going away): it is registered again when there is one.
 */
static int on_release(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void)userdata, (void)ret_error;
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable advert_table[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Type", "s", get_type, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ServiceUUIDs", "as", get_uuids, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("LocalName", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Discoverable", "b", get_discoverable, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ManufacturerData", "a{qv}", get_manufacturer, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_METHOD("Release", "", "", on_release, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int ble_advert_add(struct ble *b) {
        int r;

        r = sd_bus_add_object_vtable(b->connection, NULL, BLE_PATH_ADVERT "/a", ADVERT_INTERFACE,
                                     advert_table, b);
        if (r >= 0)
                r = sd_bus_add_object_vtable(b->connection, NULL, BLE_PATH_ADVERT "/b", ADVERT_INTERFACE,
                                             advert_table, b);
        return r;
}

int ble_advert_register(struct ble *b, enum ble_step step, sd_bus_message **ret) {
        const char *path = step == BLE_STEP_ADVERT_B ? BLE_PATH_ADVERT "/b" : BLE_PATH_ADVERT "/a";
        int r;

        if (step == BLE_STEP_ADVERT_B && !b->config.app)
                return -ENOENT;
        r = ble_call_new(b, b->adapter, BLUEZ_NAME ".LEAdvertisingManager1", "RegisterAdvertisement", ret);
        return r < 0 ? r : sd_bus_message_append(*ret, "oa{sv}", path, 0);
}

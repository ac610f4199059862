/* NVIDIA's management library as nvidia-ml-py calls it, over devices that a text file describes.
 *
 * The file is named by FAKE_NVML, or by fake_nvml_use() inside one process, and is read again at every call: a test
 * takes a GPU away while a node runs. One line is one thing, its fields are separated by tabs:
 *
 *   driver  version=550.54.15  init=0             what the driver says, and what nvmlInit answers
 *   hang    seconds=600  call=nvmlDeviceGetName   that call (without: every one) comes back so much later
 *   gpu     uuid=GPU-0  name=...  memory=... used=... major=8 minor=6 util=... temp=... power=... error=15 handle=0
 *           mig=1  bus=0000:01:00.0  pids=4711:1048576,4712:0
 *   mig     uuid=MIG-0 ...                        an instance of the gpu above it
 *
 * error: what every call on that device answers; handle=0: not even a handle is given for it.
 * A handle stays that of its device when the lines move; a device whose line is gone is lost.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN = 999,
    MOST = 128, TEXT = 128
};

typedef unsigned long long u64;
typedef struct { unsigned pid; u64 memory; unsigned gpu_instance, compute_instance; } Process;
typedef struct { u64 total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct {
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char id[32];
} Pci;

typedef struct {
    char uuid[TEXT], name[TEXT], bus[TEXT], pids[1024];
    u64 memory, used;
    int parent; /* index of its line, -1: a GPU */
    int major, minor, util, temp, power, error, handle, mig;
} Device;

typedef struct {
    char version[TEXT], hang[TEXT];
    double seconds;
    int init, count;
    Device device[MOST];
} Scenario;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char path[4096];
static char known[MOST][TEXT]; /* a handle is a place in this table */
static int started;

void fake_nvml_use(const char *file) {
    pthread_mutex_lock(&lock);
    snprintf(path, sizeof path, "%s", file);
    started = 0;
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("FAKE_NVML");
    if (file) snprintf(path, sizeof path, "%s", file);
}

static void put(char *target, size_t size, const char *value) { snprintf(target, size, "%s", value); }

static void device_field(Device *d, const char *key, const char *value) {
    if (!strcmp(key, "uuid")) put(d->uuid, sizeof d->uuid, value);
    else if (!strcmp(key, "name")) put(d->name, sizeof d->name, value);
    else if (!strcmp(key, "bus")) put(d->bus, sizeof d->bus, value);
    else if (!strcmp(key, "pids")) put(d->pids, sizeof d->pids, value);
    else if (!strcmp(key, "memory")) d->memory = strtoull(value, NULL, 10);
    else if (!strcmp(key, "used")) d->used = strtoull(value, NULL, 10);
    else if (!strcmp(key, "major")) d->major = atoi(value);
    else if (!strcmp(key, "minor")) d->minor = atoi(value);
    else if (!strcmp(key, "util")) d->util = atoi(value);
    else if (!strcmp(key, "temp")) d->temp = atoi(value);
    else if (!strcmp(key, "power")) d->power = atoi(value);
    else if (!strcmp(key, "error")) d->error = atoi(value);
    else if (!strcmp(key, "handle")) d->handle = atoi(value);
    else if (!strcmp(key, "mig")) d->mig = atoi(value);
}

static void line_read(Scenario *s, char *line, int *gpu) {
    char *rest = NULL, *kind = strtok_r(line, "\t\n", &rest), *field;
    Device *d = NULL;
    if (!kind) return;
    if ((!strcmp(kind, "gpu") || !strcmp(kind, "mig")) && s->count < MOST) {
        d = &s->device[s->count];
        memset(d, 0, sizeof *d);
        d->handle = 1;
        d->parent = strcmp(kind, "mig") ? -1 : *gpu;
        if (d->parent < 0) *gpu = s->count;
        s->count++;
    }
    while ((field = strtok_r(NULL, "\t\n", &rest))) {
        char *value = strchr(field, '=');
        if (!value) continue;
        *value++ = 0;
        if (d) device_field(d, field, value);
        else if (!strcmp(field, "version")) put(s->version, sizeof s->version, value);
        else if (!strcmp(field, "init")) s->init = atoi(value);
        else if (!strcmp(field, "seconds")) s->seconds = atof(value);
        else if (!strcmp(field, "call")) put(s->hang, sizeof s->hang, value);
    }
}

static int scenario_read(Scenario *s) {
    char line[4096], file[sizeof path];
    int gpu = -1;
    memset(s, 0, offsetof(Scenario, device));
    pthread_mutex_lock(&lock);
    memcpy(file, path, sizeof file);
    pthread_mutex_unlock(&lock);
    FILE *f = file[0] ? fopen(file, "r") : NULL;
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) line_read(s, line, &gpu);
    fclose(f);
    return 1;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Every call begins here: wait as long as the file says so, then answer with what it says by then. */
static int enter(Scenario *s, const char *call, int need_init) {
    double since = now();
    for (;;) {
        if (!scenario_read(s)) return DRIVER_NOT_LOADED;
        int hangs = s->seconds > 0 && (!s->hang[0] || !strcmp(s->hang, call));
        if (!hangs || now() - since >= s->seconds) break;
        usleep(20000);
    }
    return need_init && !started ? UNINITIALIZED : SUCCESS;
}

static void *handle_of(const char *uuid) {
    int i;
    pthread_mutex_lock(&lock);
    for (i = 0; i < MOST - 1 && known[i][0] && strcmp(known[i], uuid); i++) {}
    put(known[i], TEXT, uuid);
    pthread_mutex_unlock(&lock);
    return known[i];
}

static int find(Scenario *s, const char *call, void *handle, Device **found) {
    int result = enter(s, call, 1);
    if (result) return result;
    if (!handle) return INVALID_ARGUMENT;
    for (int i = 0; i < s->count; i++) {
        Device *d = &s->device[i];
        if (strcmp(d->uuid, (char *)handle)) continue;
        *found = d;
        if (d->error) return d->error;
        return d->parent >= 0 ? s->device[d->parent].error : SUCCESS;
    }
    return GPU_IS_LOST;
}

#define FIND                                              \
    Scenario s;                                           \
    Device *d = NULL;                                     \
    int result = find(&s, __func__, handle, &d);          \
    if (result) return result;

#define ONLY_GPU \
    if (d->parent >= 0) return NOT_SUPPORTED;

int nvmlInitWithFlags(unsigned flags) {
    Scenario s;
    (void)flags;
    int result = enter(&s, __func__, 0);
    if (!result) result = s.init;
    if (!result) started = 1;
    return result;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    Scenario s;
    int result = enter(&s, __func__, 1);
    started = 0;
    return result;
}

const char *nvmlErrorString(int error) {
    switch (error) {
        case SUCCESS: return "Success";
        case UNINITIALIZED: return "Uninitialized";
        case INVALID_ARGUMENT: return "Invalid Argument";
        case NOT_SUPPORTED: return "Not Supported";
        case NOT_FOUND: return "Not Found";
        case INSUFFICIENT_SIZE: return "Insufficient Size";
        case DRIVER_NOT_LOADED: return "Driver Not Loaded";
        case GPU_IS_LOST: return "GPU is lost";
        case 18: return "Driver/library version mismatch";
        default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    Scenario s;
    int result = enter(&s, __func__, 1);
    if (!result) put(text, size, s.version);
    return result;
}

int nvmlSystemGetCudaDriverVersion(int *version) {
    Scenario s;
    *version = 12040;
    return enter(&s, __func__, 1);
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    Scenario s;
    int result = enter(&s, __func__, 1);
    *count = 0;
    for (int i = 0; i < s.count && !result; i++) *count += s.device[i].parent < 0;
    return result;
}

static int nth(Scenario *s, int parent, unsigned index, void **handle, int missing) {
    for (int i = 0; i < s->count; i++) {
        Device *d = &s->device[i];
        if (d->parent != parent || index--) continue;
        if (d->error && !d->handle) return d->error;
        *handle = handle_of(d->uuid);
        return SUCCESS;
    }
    return missing;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    Scenario s;
    int result = enter(&s, __func__, 1);
    return result ? result : nth(&s, -1, index, handle, INVALID_ARGUMENT);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    Scenario s;
    int result = enter(&s, __func__, 1);
    if (result) return result;
    for (int i = 0; i < s.count; i++) {
        Device *d = &s.device[i];
        if (strcmp(d->uuid, uuid)) continue;
        if (d->error && !d->handle) return d->error;
        *handle = handle_of(uuid);
        return SUCCESS;
    }
    return NOT_FOUND;
}

int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    FIND
    put(text, size, d->uuid);
    return SUCCESS;
}

int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    FIND
    put(text, size, d->name);
    return SUCCESS;
}

int nvmlDeviceGetIndex(void *handle, unsigned *index) {
    FIND
    ONLY_GPU
    *index = 0;
    for (int i = 0; &s.device[i] != d; i++) *index += s.device[i].parent < 0;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    FIND
    *memory = (Memory){d->memory, d->memory - d->used, d->used};
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    FIND
    *major = d->major;
    *minor = d->minor;
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(void *handle, Pci *pci) {
    FIND
    ONLY_GPU
    memset(pci, 0, sizeof *pci);
    put(pci->id, sizeof pci->id, d->bus);
    put(pci->legacy, sizeof pci->legacy, d->bus);
    return SUCCESS;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    FIND
    ONLY_GPU
    *current = *pending = (unsigned)(d->mig > 0);
    return d->mig < 0 ? NOT_SUPPORTED : SUCCESS; /* -1: a GPU that knows no MIG */
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    FIND
    ONLY_GPU
    *count = d->mig > 0 ? 7 : 0;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **instance) {
    FIND
    ONLY_GPU
    return nth(&s, (int)(d - s.device), index, instance, NOT_FOUND);
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *handle, void **gpu) {
    FIND
    if (d->parent < 0) return INVALID_ARGUMENT;
    *gpu = handle_of(s.device[d->parent].uuid);
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *handle, Utilization *utilization) {
    FIND
    ONLY_GPU
    *utilization = (Utilization){(unsigned)d->util, (unsigned)d->util};
    return d->util < 0 ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *degrees) {
    FIND
    ONLY_GPU
    if (sensor) return INVALID_ARGUMENT;
    *degrees = (unsigned)d->temp;
    return d->temp < 0 ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    FIND
    ONLY_GPU
    *milliwatts = (unsigned)d->power;
    return d->power < 0 ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, Process *processes) {
    FIND
    char *rest = NULL;
    unsigned room = *count, n = 0;
    for (char *one = strtok_r(d->pids, ",", &rest); one; one = strtok_r(NULL, ",", &rest), n++) {
        char *memory = strchr(one, ':');
        if (n >= room) continue;
        processes[n] = (Process){(unsigned)atoi(one), memory ? strtoull(memory + 1, NULL, 10) : ~0ULL, ~0u, ~0u};
    }
    *count = n;
    return n > room ? INSUFFICIENT_SIZE : SUCCESS;
}

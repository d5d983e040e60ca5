/* A libnvidia-ml.so.1 of two GPUs, to run the true nvidia-ml-py over. What is not here is a symbol the
 * driver does not have, which is normal. MOCK_NVML names faults: no_driver, lost (GPU 1, from the second read on), no_fields.
 * GPU 0 counts NVLink in KiB over all links, as up to NVLink 4; GPU 1 in bytes a link, as NVLink 5. */

#include <stdlib.h>
#include <string.h>

typedef int ret;
enum { OK = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, TIMEOUT = 10, LOST = 15 };
typedef struct { int index; int samples; } gpu;
typedef struct {
  unsigned fieldId, scopeId;
  long long timestamp, latencyUsec;
  int valueType;
  ret nvmlReturn;
  union { double d; unsigned u; unsigned long ul; unsigned long long ull; long long sll; int i; unsigned short us; } value;
} field;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { gpu *device; unsigned long long type, data; unsigned gi, ci; } event;
typedef struct { unsigned id; ret nvmlReturn; double value; char *shortName, *longName, *unit; } metric;
typedef struct { unsigned version, count; void *sample1, *sample2; metric metrics[]; } metrics;

static gpu gpus[2] = {{0, 0}, {1, 0}};
static int reads, events_left = 1;

static int fault(const char *name) {
  const char *said = getenv("MOCK_NVML");
  return said != NULL && strcmp(said, name) == 0;
}
static ret usable(const gpu *g) { return g->index == 1 && fault("lost") && reads > 1 ? LOST : OK; }

ret nvmlInitWithFlags(unsigned flags) { (void)flags; return fault("no_driver") ? DRIVER_NOT_LOADED : OK; }
ret nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(ret code) { (void)code; return "an error of the mock"; }
ret nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "580.65.06", size); return OK; }
ret nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return OK; }
ret nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu **out) { *out = &gpus[index]; return OK; }
ret nvmlDeviceGetUUID(gpu *g, char *text, unsigned size) { strncpy(text, g->index ? "GPU-b" : "GPU-a", size); return usable(g); }
ret nvmlDeviceGetName(gpu *g, char *text, unsigned size) { strncpy(text, g->index ? "NVIDIA B200" : "NVIDIA H100 80GB HBM3", size); return usable(g); }
ret nvmlDeviceGetCudaComputeCapability(gpu *g, int *major, int *minor) { *major = g->index ? 10 : 9; *minor = 0; return OK; }
ret nvmlDeviceGetTotalEnergyConsumption(gpu *g, unsigned long long *mj) { *mj = 7500; return usable(g); }
ret nvmlDeviceGetPowerUsage(gpu *g, unsigned *mw) { *mw = 310500; return usable(g); }
ret nvmlDeviceGetEnforcedPowerLimit(gpu *g, unsigned *mw) { *mw = 700000; return usable(g); }
ret nvmlDeviceGetUtilizationRates(gpu *g, unsigned *rates) { rates[0] = 91; rates[1] = 40; return usable(g); }
ret nvmlDeviceGetMemoryInfo(gpu *g, memory_v1 *m) { m->total = 85520809984ull; m->used = 70000000000ull; return usable(g); }
ret nvmlDeviceGetMemoryInfo_v2(gpu *g, memory_v2 *m) { m->total = 85520809984ull; m->reserved = 600000000ull; m->used = 69400000000ull; return usable(g); }
ret nvmlDeviceGetClockInfo(gpu *g, unsigned kind, unsigned *mhz) { *mhz = kind == 1 ? 1980 : 2619; return usable(g); }
ret nvmlDeviceGetTemperature(gpu *g, unsigned sensor, unsigned *celsius) { (void)sensor; *celsius = 61; return usable(g); }

static ret number(const gpu *g, unsigned id, unsigned scope, unsigned long long *value) {
  switch (id) {
  case 83: *value = 123456789; return OK;                                  /* mJ */
  case 185: *value = 412345; return OK;                                    /* mW, mean */
  case 186: *value = 400000; return OK;                                    /* mW, moment */
  case 82: *value = g->index ? 0 : 70; return OK;
  case 74: *value = 2500000000ull; return OK;                              /* ns */
  case 77: *value = 1000000000ull; return OK;
  case 79: *value = 500000000ull; return OK;
  case 138: *value = 4; return g->index || scope != 0xFFFFFFFFu ? NOT_SUPPORTED : OK; /* KiB */
  case 139: *value = 8; return g->index || scope != 0xFFFFFFFFu ? NOT_SUPPORTED : OK;
  case 202: *value = 1000; return g->index && scope < 18 ? OK : NOT_SUPPORTED;
  case 204: *value = 3000; return g->index && scope < 18 ? OK : NOT_SUPPORTED;
  case 197: *value = 111; return OK;
  case 198: *value = 222; return OK;
  case 94: *value = 3; return OK;
  case 3: *value = 5; return OK;
  case 4: *value = 0; return OK;
  case 142: *value = 1; return OK;
  case 144: *value = 0; return OK;
  default: return NOT_SUPPORTED;
  }
}
ret nvmlDeviceGetFieldValues(gpu *g, int count, field *fields) {
  if (fault("no_fields")) return INVALID_ARGUMENT;
  for (int i = 0; i < count; i++) {
    fields[i].valueType = 3; /* unsigned long long */
    fields[i].nvmlReturn = number(g, fields[i].fieldId, fields[i].scopeId, &fields[i].value.ull);
  }
  return usable(g);
}

typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } process;
ret nvmlDeviceGetComputeRunningProcesses_v3(gpu *g, unsigned *count, process *found) {
  if (g->index == 1) { *count = 0; return OK; }
  if (*count == 0) { *count = 1; return INSUFFICIENT_SIZE; }
  found[0].pid = 4242;
  *count = 1;
  return OK;
}

ret nvmlEventSetCreate(void **set) { *set = &events_left; return OK; }
ret nvmlEventSetFree(void *set) { (void)set; return OK; }
ret nvmlDeviceRegisterEvents(gpu *g, unsigned long long types, void *set) { (void)set; return types == 8 ? usable(g) : INVALID_ARGUMENT; }
ret nvmlEventSetWait_v2(void *set, event *out, unsigned timeout_ms) {
  (void)set;
  if (timeout_ms != 0 || events_left == 0) {
    reads++; /* every read ends its events so */
    return TIMEOUT;
  }
  events_left--;
  out->device = &gpus[0];
  out->type = 8;
  out->data = 79;
  return OK;
}

ret nvmlGpmQueryDeviceSupport(gpu *g, unsigned *support) { support[1] = g->index == 0; return OK; }
ret nvmlGpmSampleAlloc(void **sample) { *sample = calloc(1, sizeof(int)); return OK; }
ret nvmlGpmSampleFree(void *sample) { free(sample); return OK; }
ret nvmlGpmSampleGet(gpu *g, int *sample) { *sample = ++g->samples; return usable(g); }
ret nvmlGpmMetricsGet(metrics *asked) {
  if (*(int *)asked->sample1 >= *(int *)asked->sample2) return INVALID_ARGUMENT; /* the older comes first */
  for (unsigned i = 0; i < asked->count; i++) {
    asked->metrics[i].nvmlReturn = asked->metrics[i].id == 10 ? NOT_SUPPORTED : OK;
    asked->metrics[i].value = asked->metrics[i].id == 3 ? 0.0 / 0.0 : 10.0 * asked->metrics[i].id;
  }
  return OK;
}

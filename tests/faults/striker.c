/*
 * Sends this thread a real signal at the n-th instruction of a call, and has Python deliver it.
 *
 * run(call, first, gap) counts the instructions of Python that run in the call, in this thread, and
 * the ends of C functions that were called from them. Before number `first` it raises SIGINT, as
 * Ctrl-C does, and once that is delivered, `gap` instructions later again (0: no second time).
 * Where Python delivers it is Python's own decision: the count at that moment is told.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>
#include <signal.h>

#if PY_VERSION_HEX < 0x030D0000
#define CURRENT _PyThreadState_UncheckedGet
#else
#define CURRENT PyThreadState_GetUnchecked
#endif

static long counted, next_at, gap, deliveries;
static long delivered_at[2];
static PyObject *places[2];
static PyThreadState *thread;

static void count(void)
{
    if (thread && CURRENT() == thread && ++counted == next_at) {
        next_at = 0;
        raise(SIGINT);
    }
}

/* What signal.signal(SIGINT) is given: no bytecode of its own runs. */
static PyObject *handler(PyObject *self, PyObject *args)
{
    PyObject *signum, *frame;
    if (!PyArg_ParseTuple(args, "OO", &signum, &frame))
        return NULL;
    if (deliveries < 2) {
        delivered_at[deliveries] = counted;
        if (thread && PyFrame_Check(frame)) {
            PyCodeObject *code = PyFrame_GetCode((PyFrameObject *)frame);
            Py_XSETREF(places[deliveries],
                       Py_BuildValue("(Oi)", code, PyFrame_GetLasti((PyFrameObject *)frame)));
            Py_DECREF(code);
        }
    }
    if (++deliveries == 1 && gap)
        next_at = counted + gap;
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return NULL;
}

#if PY_VERSION_HEX < 0x030C0000
static PyObject *opcodes_name, *lines_name;
static int trace(PyObject *self, PyFrameObject *frame, int what, PyObject *argument)
{
    if (what == PyTrace_CALL) {
        if (PyObject_SetAttr((PyObject *)frame, opcodes_name, Py_True) < 0 ||
            PyObject_SetAttr((PyObject *)frame, lines_name, Py_False) < 0)
            return -1;
    } else if (what == PyTrace_OPCODE)
        count();
    return 0;
}
static int profile(PyObject *self, PyFrameObject *frame, int what, PyObject *argument)
{
    if (what == PyTrace_C_RETURN)
        count();
    return 0;
}
#endif

/* The callback of sys.monitoring for instructions and ends of C functions. */
static PyObject *event(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    count();
    Py_RETURN_NONE;
}

static PyObject *run(PyObject *self, PyObject *args)
{
    PyObject *call, *result, *type = NULL, *value = NULL, *traceback = NULL;
    long first;
    if (!PyArg_ParseTuple(args, "Oll", &call, &first, &gap))
        return NULL;
    counted = deliveries = 0;
    next_at = first;
    Py_CLEAR(places[0]);
    Py_CLEAR(places[1]);
#if PY_VERSION_HEX < 0x030C0000
    PyEval_SetTrace(trace, NULL);
    PyEval_SetProfile(profile, NULL);
#endif
    thread = CURRENT();
    result = PyObject_CallNoArgs(call);
    thread = NULL;
#if PY_VERSION_HEX < 0x030C0000
    PyErr_Fetch(&type, &value, &traceback);
    PyEval_SetTrace(NULL, NULL);
    PyEval_SetProfile(NULL, NULL);
    PyErr_Restore(type, value, traceback);
#endif
    if (result && PyErr_CheckSignals() < 0) /* it came too late: the caller's end of the call */
        Py_CLEAR(result);
    if (!result) {
        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        if (traceback)
            PyException_SetTraceback(value, traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
        if (PyErr_CheckSignals() < 0) /* a second one, just as late */
            PyErr_Clear();
    }
    return Py_BuildValue("(NNl[ll]l[OO])", result ? result : Py_NewRef(Py_None),
                         value ? value : Py_NewRef(Py_None), counted, delivered_at[0], delivered_at[1],
                         deliveries, places[0] ? places[0] : Py_None,
                         places[1] ? places[1] : Py_None);
}

static PyMethodDef methods[] = {
    {"run", run, METH_VARARGS, "Run a call with a signal in it."},
    {"handler", handler, METH_VARARGS, "Raise KeyboardInterrupt."},
    {"event", (PyCFunction)(void (*)(void))event, METH_FASTCALL, "Count."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "striker", NULL, -1, methods};

PyMODINIT_FUNC PyInit_striker(void)
{
#if PY_VERSION_HEX < 0x030C0000
    opcodes_name = PyUnicode_InternFromString("f_trace_opcodes");
    lines_name = PyUnicode_InternFromString("f_trace_lines");
#endif
    return PyModule_Create(&module);
}

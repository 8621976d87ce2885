/* One function of a static Python asks for a newer glibc than all else does: hypot, since 2.35, for abs() of a complex
   number. Its sibling for long doubles, which hold every double's square, has been in every glibc: 2.34 is enough.

   dist-scripts/build hands this file to Nuitka through plugin.py. */

#if defined(__linux__)

#include <math.h>

double hypot(double x, double y) { return (double)hypotl(x, y); }

#endif

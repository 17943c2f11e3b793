dnl SPDX-License-Identifier: Apache-2.0
dnl What the suite needs, what it found, and what a missing option costs.

AC_DEFUN([HB_PROBE_HTTPD], [
    AC_ARG_WITH([apxs], [AS_HELP_STRING([--with-apxs=FILE], [apxs of the httpd to build for])],
        [], [with_apxs=yes])
    AS_CASE([$with_apxs],
        [yes], [AC_PATH_PROGS([APXS], [apxs apxs2])],
        [no], [AC_MSG_ERROR([these are modules of httpd: they cannot be built --without-apxs])],
        [*/*], [APXS=$with_apxs],
        [AC_PATH_PROG([APXS], [$with_apxs])])
    AS_IF([test -z "$APXS" || ! test -x "$APXS"],
        [AC_MSG_ERROR([apxs not found: install apache2-dev, or name it by --with-apxs=FILE])])
    AS_IF([test ! -f "`$APXS -q INCLUDEDIR 2>/dev/null`/httpd.h"],
        [AC_MSG_ERROR([$APXS is no apxs, or httpd's headers are missing: install apache2-dev, or name the right one by --with-apxs=FILE])])
    HTTPD=`$APXS -q SBINDIR`/`$APXS -q PROGNAME`
    HTTPD_CPPFLAGS="-I`$APXS -q INCLUDEDIR` `$APXS -q EXTRA_CPPFLAGS`"
    AC_ARG_WITH([apache-libexecdir],
        [AS_HELP_STRING([--with-apache-libexecdir=DIR], [where modules go @<:@what apxs says@:>@])],
        [apachelibexecdir=$withval], [apachelibexecdir=`$APXS -q LIBEXECDIR`])
    AC_ARG_WITH([apache-confdir],
        [AS_HELP_STRING([--with-apache-confdir=DIR], [where .load and .conf files go @<:@mods-available beside what apxs says@:>@])],
        [apacheconfdir=$withval], [apacheconfdir=`$APXS -q SYSCONFDIR`/mods-available])
    AC_SUBST([APXS])
    AC_SUBST([HTTPD])
    AC_SUBST([HTTPD_CPPFLAGS])
    AC_SUBST([apachelibexecdir])
    AC_SUBST([apacheconfdir])
    PKG_CHECK_MODULES([APR], [apr-1 >= 1.6 apr-util-1 >= 1.6], [],
        [AC_MSG_ERROR([APR not found: install libapr1-dev and libaprutil1-dev])])
    hb_save_CPPFLAGS=$CPPFLAGS
    CPPFLAGS="$CPPFLAGS $HTTPD_CPPFLAGS $APR_CFLAGS"
    AC_MSG_CHECKING([for httpd 2.4.49 or newer (child_stopping)])
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <ap_mmn.h>
        #if !AP_MODULE_MAGIC_AT_LEAST(20120211, 112)
        #error too old
        #endif]], [])],
        [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no]); AC_MSG_ERROR([this httpd is too old: 2.4.49 is the floor])])
    CPPFLAGS=$hb_save_CPPFLAGS
])

dnl HB_PROBE_OPTIONAL(option, VARIABLE, pkg-config module, what for, Debian package): looked for
dnl unless --without-option; --with-option insists. A packager gets the same from the same words.
AC_DEFUN([HB_PROBE_OPTIONAL], [
    AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1], [$4 @<:@if $5 is there@:>@])],
        [], [with_$1=check])
    AS_IF([test "x$with_$1" = xno], [hb_have_$1=no],
        [PKG_CHECK_MODULES([$2], [$3], [hb_have_$1=yes], [hb_have_$1=no])])
    AS_IF([test "x$with_$1" = xyes && test "x$hb_have_$1" = xno],
        [AC_MSG_ERROR([$3 not found, and --with-$1 was given: install $5])])
    AM_CONDITIONAL([HAVE_$2], [test "x$hb_have_$1" = xyes])
])

AC_DEFUN([HB_PROBE_LIBRARIES], [
    PKG_CHECK_MODULES([JSONC], [json-c >= 0.15], [], [AC_MSG_ERROR([json-c not found: install libjson-c-dev])])
    PKG_CHECK_MODULES([SQLITE], [sqlite3 >= 3.38], [], [AC_MSG_ERROR([SQLite 3.38 not found: install libsqlite3-dev])])
    PKG_CHECK_MODULES([OPENSSL], [libcrypto >= 3.0], [], [AC_MSG_ERROR([OpenSSL 3 not found: install libssl-dev])])
    PKG_CHECK_MODULES([CURL], [libcurl >= 7.85], [], [AC_MSG_ERROR([libcurl not found: install libcurl4-openssl-dev])])
    PKG_CHECK_MODULES([CJOSE], [cjose >= 0.6], [], [AC_MSG_ERROR([cjose not found: install libcjose-dev and libjansson-dev])])
    PKG_CHECK_MODULES([ZLIB], [zlib], [], [AC_MSG_ERROR([zlib not found: install zlib1g-dev])])
    PKG_CHECK_MODULES([ICU], [icu-uc >= 63], [], [AC_MSG_ERROR([ICU not found: install libicu-dev])])
    PKG_CHECK_MODULES([UV], [libuv >= 1.44], [], [AC_MSG_ERROR([libuv not found: install libuv1-dev])])
    HB_PROBE_OPTIONAL([mongodb], [MONGOC], [libmongoc-1.0 >= 1.23], [records in MongoDB], [libmongoc-dev])
    HB_PROBE_OPTIONAL([redis], [HIREDIS], [hiredis >= 0.14], [shared state in Redis], [libhiredis-dev])
])

AC_DEFUN([HB_PROBE_CHECK], [
    PKG_CHECK_MODULES([CHECK], [check >= 0.15], [hb_have_check=yes], [hb_have_check=no])
    AM_CONDITIONAL([HAVE_CHECK], [test "x$hb_have_check" = xyes])
])

dnl What was found, and what is lost without the rest.
AC_DEFUN([HB_PROBE_SUMMARY], [
    hb_sqlite_version=`$PKG_CONFIG --modversion sqlite3`
    hb_mongoc_version=`$PKG_CONFIG --modversion libmongoc-1.0 2>/dev/null`
    hb_check_version=`$PKG_CONFIG --modversion check 2>/dev/null`
    AC_MSG_NOTICE([])
    AC_MSG_NOTICE([HaloBuzz $PACKAGE_VERSION])
    AC_MSG_NOTICE([  httpd              $HTTPD])
    AC_MSG_NOTICE([  modules go to      $apachelibexecdir])
    AC_MSG_NOTICE([  .load and .conf    $apacheconfdir])
    AC_MSG_NOTICE([  records            SQLite $hb_sqlite_version])
    AS_IF([test "x$hb_have_mongodb" = xyes],
        [AC_MSG_NOTICE([                     and MongoDB, driver $hb_mongoc_version])],
        [AC_MSG_NOTICE([                     without MongoDB: --with-mongodb takes libmongoc-dev])])
    AC_MSG_NOTICE([  shared state       shared memory])
    AS_IF([test "x$hb_have_redis" = xyes], [AC_MSG_NOTICE([                     and Redis])],
        [AC_MSG_NOTICE([                     without Redis: --with-redis takes libhiredis-dev])])
    AS_IF([test "x$hb_have_check" = xyes],
        [AC_MSG_NOTICE([  unit tests         yes, Check $hb_check_version])],
        [AC_MSG_NOTICE([  unit tests         no: make check proves nothing in C; install check])])
    AS_IF([test "x$enable_sanitizers" != xno],
        [AC_MSG_NOTICE([  sanitizers         $enable_sanitizers: slow, and httpd needs the tests' way of starting it])])
    AS_IF([test "x$enable_werror" = xyes],
        [AC_MSG_NOTICE([  warnings           stop the build; --disable-werror for an unknown compiler])])
    AC_MSG_NOTICE([])
])

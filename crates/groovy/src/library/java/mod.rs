//! Java's classes whose objects are plain data ([`Java`]): how they are made, their methods, their constants.

mod address;
mod calendar;
mod date;
mod digest;
mod number_format;
mod path;
mod pattern;
mod random;
mod template;
mod time;
mod time_fields;
mod zone;

use std::rc::Rc;

use super::{Answer, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Class, Java, Native, Object, Value};

/// What a value holds, where it is plain data of Java's.
pub(super) fn value_of(value: &Value) -> Option<Java> {
    match value {
        Value::Object(o) => o.java(),
        _ => None,
    }
}

/// A new object.
fn object(ctx: &Ctx<'_>, class: &str, java: Java) -> Value {
    Value::Object(Rc::new(Object::new(ctx.world.java_class(class), Native::Java(Box::new(java)))))
}

/// Changes what an object holds.
fn set(o: &Object, java: Java) {
    *o.native.borrow_mut() = Native::Java(Box::new(java));
}

/// Refuses more bytes in a value than a string may have.
fn bytes_of(ctx: &Ctx<'_>, value: &Value) -> Result<Vec<u8>, Fault> {
    match value {
        Value::List(l) => {
            ctx.room(l.len())?;
            Ok(l.items().iter().map(|b| b.as_i64().unwrap_or(0) as u8).collect())
        }
        other => Ok(ctx.text(other)?.into_bytes()),
    }
}

/// An array of bytes.
pub(super) fn byte_array(bytes: &[u8]) -> Value {
    Value::array(bytes.iter().map(|b| Value::Int(i32::from(*b as i8))).collect(), "byte")
}

/// `new X(…)`
pub(super) fn construct(ctx: &mut Ctx<'_>, class: &Rc<Class>, args: &[Value]) -> Answer {
    match &*class.name {
        "java.util.Date" | "java.sql.Timestamp" | "java.text.SimpleDateFormat" => date::construct(ctx, class, args),
        "java.util.GregorianCalendar" => calendar::construct(ctx, args),
        "java.util.Random" | "java.security.SecureRandom" => random::construct(ctx, class, args),
        "java.util.UUID" => random::construct(ctx, class, args),
        "java.net.URL" | "java.net.URI" => address::construct(ctx, class, args),
        "java.io.File" => path::construct(ctx, args),
        "java.text.DecimalFormat" => number_format::construct(ctx, args),
        "javax.crypto.spec.SecretKeySpec" => digest::construct(ctx, args),
        _ => Ok(None),
    }
}

/// Static methods.
pub(super) fn statics(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    match &*class.name {
        "java.util.Date" | "java.text.DateFormat" => date::statics(ctx, class, name, args),
        "java.util.Calendar" | "java.util.GregorianCalendar" => calendar::statics(ctx, name, args),
        "java.util.TimeZone" | "java.time.ZoneId" | "java.time.ZoneOffset" => {
            zone::statics(ctx, &class.name, name, args)
        }
        "java.lang.System" | "java.util.UUID" | "java.util.concurrent.ThreadLocalRandom" => {
            random::statics(ctx, class, name, args)
        }
        "java.net.URI" | "java.net.URL" => address::statics(ctx, class, name, args),
        "java.nio.file.Paths" | "java.nio.file.Path" => path::statics(ctx, name, args),
        "java.security.MessageDigest" | "javax.crypto.Mac" | "java.util.Base64" => {
            digest::statics(ctx, class, name, args)
        }
        "groovy.text.Template" => template::statics(ctx, name, args),
        "java.text.NumberFormat" | "java.text.MessageFormat" => number_format::statics(ctx, class, name, args),
        time if time.starts_with("java.time.") => time::statics(ctx, class, name, args),
        _ => Ok(None),
    }
}

/// Constants.
pub(super) fn constant(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str) -> Answer {
    match &*class.name {
        "java.util.Calendar" | "java.util.GregorianCalendar" => Ok(calendar::constant(name)),
        "java.net.HttpURLConnection" | "javax.net.ssl.HttpsURLConnection" => Ok(address::status(name)),
        time if time.starts_with("java.time.") => time::constant(ctx, class, name),
        _ => Ok(None),
    }
}

/// Methods of an object.
pub(super) fn method(ctx: &mut Ctx<'_>, this: &Value, o: &Rc<Object>, name: &str, args: &[Value]) -> Answer {
    let Some(java) = o.java() else { return Ok(None) };
    match (name, args, &java) {
        ("compareTo", [other], java) => {
            return match value_of(other).and_then(|other| java.order(&other)) {
                Some(order) => yes(Value::Int(order as i32)),
                None => Err(ctx.world.cast_fault(other, &o.class.name)),
            };
        }
        ("equals", [other], java) => {
            let same = value_of(other).and_then(|other| java.same(&other));
            return yes(same.unwrap_or_else(|| this.same(other)));
        }
        ("toString", [], _) => return yes(ctx.text(this)?),
        ("clone", [], java) => return yes(object(ctx, &o.class.name, java.clone())),
        _ => {}
    }
    match java {
        Java::Date(ms) => date::method(ctx, o, ms, name, args),
        Java::Calendar(ms, zone) => calendar::method(ctx, o, ms, zone, name, args),
        Java::DateFormat(pattern, zone) => date::format_method(ctx, o, &pattern, zone, name, args),
        Java::Zone(zone) => zone::method(ctx, &zone, name, args),
        Java::Uuid(id) => random::uuid_method(id, name, args),
        Java::Random(state) => random::method(ctx, o, state, name, args),
        Java::Address(text) => address::method(ctx, o, &text, name, args),
        Java::Path(text) => path::method(ctx, o, &text, name, args),
        Java::Digest { .. } => digest::method(ctx, o, java, name, args),
        Java::Base64 { url, padded } => digest::base64_method(ctx, o, (url, padded), name, args),
        Java::NumberFormat(pattern) => number_format::method(ctx, o, &pattern, name, args),
        _ => time::method(ctx, this, &java, name, args),
    }
}

pub(super) use address::of_text as address_of_text;
pub(super) use digest::{hex_decode, hex_encode, of_bytes as digest_of};
pub(super) use random::{random_double, shuffle};

//! What the API is, in OpenAPI 3.1: made of the handlers and the types that they read and write.
//!
//! The tests of this crate hold every answer that they get against it.

use model::outcome::Outcome;
use model::rung::{Rung, Trust};
use scm::Forge;
use serde::Serialize;
use serde_json::Value;
use store::Status;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};

/// What all of it has in common.
#[derive(OpenApi)]
#[openapi(
    info(title = "Cofferdam", description = "The API of a Cofferdam server. Times are in milliseconds since 1970."),
    components(schemas(Refusal))
)]
pub(super) struct Description;

/// Why a request was not done; its status says whose fault that is.
#[derive(Serialize, ToSchema)]
pub(super) struct Refusal {
    /// In words.
    pub(super) error: String,
}

/// The name of the one way to say who one is.
const TOKEN: &str = "token";

/// Adds to a description what is so everywhere: who may ask, and how a refusal looks.
pub(super) fn complete(mut api: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = api.components.get_or_insert_default();
    components.security_schemes.insert(TOKEN.to_owned(), scheme);
    api.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(TOKEN, [])]);
    // What is the rest of a path here is a part of it there.
    let paths = std::mem::take(&mut api.paths.paths);
    api.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for Operation { responses, operation_id, tags, .. } in operations.into_iter().flatten() {
            // Handlers are called the same in each file.
            let of = tags.iter().flatten().next().cloned().unwrap_or_default();
            *operation_id = operation_id.take().map(|name| format!("{of}_{name}"));
            for response in responses.responses.values_mut() {
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    "It was done.".clone_into(&mut response.description);
                }
            }
            responses.responses.insert("default".to_owned(), RefOr::T(refused()));
        }
    }
    api
}

fn refused() -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Refusal"))).build();
    ResponseBuilder::new().description("It was not done.").content("application/json", content).build()
}

fn one_of<T: Serialize>(all: &[T], may_be_none: bool) -> RefOr<Schema> {
    let values = all.iter().map(|value| serde_json::to_value(value).unwrap_or_default());
    let none = may_be_none.then_some(Value::Null);
    let types = [Type::String].into_iter().chain(may_be_none.then_some(Type::Null));
    let object = ObjectBuilder::new().schema_type(SchemaType::from_iter(types));
    RefOr::T(Schema::Object(object.enum_values(Some(values.chain(none))).build()))
}

const OUTCOMES: [Outcome; 5] =
    [Outcome::Success, Outcome::Unstable, Outcome::Failure, Outcome::NotBuilt, Outcome::Aborted];

pub(super) fn status() -> RefOr<Schema> {
    one_of(&[Status::Queued, Status::Running, Status::Done], false)
}

pub(crate) fn outcome() -> RefOr<Schema> {
    one_of(&OUTCOMES, false)
}

pub(super) fn maybe_outcome() -> RefOr<Schema> {
    one_of(&OUTCOMES, true)
}

pub(super) fn trust() -> RefOr<Schema> {
    one_of(&[Trust::Protected, Trust::Member, Trust::Stranger], false)
}

pub(super) fn rung() -> RefOr<Schema> {
    one_of(&[Rung::Process, Rung::Container, Rung::Gvisor, Rung::Microvm, Rung::Machine], false)
}

pub(super) fn rungs() -> RefOr<Schema> {
    RefOr::T(Schema::Array(utoipa::openapi::schema::ArrayBuilder::new().items(rung()).build()))
}

pub(crate) fn forge() -> RefOr<Schema> {
    one_of(&Forge::ALL, false)
}

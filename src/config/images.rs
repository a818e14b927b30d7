//! The section `images`: the image plane.

use std::collections::BTreeMap;
use std::path::PathBuf;

use asset_gateway_backends::settings::Secret;
use serde::Deserialize;

use super::error::Problems;
use super::secret_file;

/// The section `images`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagesConfig {
    /// Alias of the bucket for originals, watermarks and stored derivatives. Required.
    pub bucket: String,
    /// Wider uploads are scaled down to this width in pixels; 0: never. Default: 2048.
    pub max_width: u32,
    /// Largest width of a requested image, in pixels. Default: 4096.
    pub max_request_width: u32,
    /// Largest number of pixels of a decoded image. Default: 100000000.
    pub max_pixels: u64,
    /// Largest upload, in bytes. Default: 20971520.
    pub max_file_size: u64,
    /// Default: jpg, png, gif, tiff, bmp, webp.
    pub uploadable: Vec<ImageFormat>,
    /// Default: jpg, png, gif, tiff, bmp, webp, avif.
    pub accessible: Vec<ImageFormat>,
    /// Default: `keep`.
    pub storage_format: StorageFormat,
    /// Prefix of watermarks in the bucket. Default: `watermark/`.
    pub watermark_prefix: String,
    pub fonts: FontsConfig,
    /// Named pipelines. Default: none.
    pub styles: BTreeMap<String, String>,
    /// Allows named pipelines only. Default: false.
    pub only_styles: bool,
    pub cache: ImageCacheConfig,
    /// Query parameters with a pipeline. Default: x-oss-process, x-zos-process, x-amz-process.
    pub process_keys: Vec<String>,
    pub security: ImageSecurityConfig,
}

impl Default for ImagesConfig {
    fn default() -> Self {
        use ImageFormat::{Avif, Bmp, Gif, Jpg, Png, Tiff, Webp};
        Self {
            bucket: String::new(),
            max_width: 2048,
            max_request_width: 4096,
            max_pixels: 100_000_000,
            max_file_size: 20_971_520,
            uploadable: vec![Jpg, Png, Gif, Tiff, Bmp, Webp],
            accessible: vec![Jpg, Png, Gif, Tiff, Bmp, Webp, Avif],
            storage_format: StorageFormat::Keep,
            watermark_prefix: "watermark/".to_owned(),
            fonts: FontsConfig::default(),
            styles: BTreeMap::new(),
            only_styles: false,
            cache: ImageCacheConfig::default(),
            process_keys: ["x-oss-process", "x-zos-process", "x-amz-process"]
                .map(str::to_owned)
                .to_vec(),
            security: ImageSecurityConfig::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    Jpg,
    Png,
    Gif,
    Tiff,
    Bmp,
    Webp,
    Avif,
}

/// The format in which an upload is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageFormat {
    Keep,
    Jpg,
    Png,
    Webp,
}

/// Paths of fonts. Default: fonts of the system.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FontsConfig {
    pub regular: PathBuf,
    pub light: PathBuf,
    pub bold: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageCacheConfig {
    /// Default: `./data/derived`.
    pub path: PathBuf,
    /// Default: 1073741824.
    pub max_bytes: u64,
}

impl Default for ImageCacheConfig {
    fn default() -> Self {
        Self {
            path: "./data/derived".into(),
            max_bytes: 1 << 30,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageSecurityConfig {
    /// Secrets of the applications that may upload, by name. Default: none.
    pub app_codes: BTreeMap<String, Secret>,
    /// Uploads need a token. Default: true.
    pub token: bool,
    /// Default: none.
    pub token_salt: Secret,
    /// The file with `token_salt`. Default: none.
    pub token_salt_file: PathBuf,
    /// Default: 999.
    pub token_tolerance_seconds: u64,
    /// Prefixes that end in `/`. Default: none, hotlink protection is off.
    pub allowed_referers: Vec<String>,
    /// Default: false.
    pub allow_empty_referer: bool,
    /// Key in the bucket; its object is served with 200 instead of a 403. Default: none.
    pub anti_leech_image: String,
}

impl Default for ImageSecurityConfig {
    fn default() -> Self {
        Self {
            app_codes: BTreeMap::new(),
            token: true,
            token_salt: Secret::default(),
            token_salt_file: PathBuf::new(),
            token_tolerance_seconds: 999,
            allowed_referers: Vec::new(),
            allow_empty_referer: false,
            anti_leech_image: String::new(),
        }
    }
}

impl ImagesConfig {
    pub(super) fn read_secrets(&mut self, problems: &mut Problems) {
        let security = &mut self.security;
        let key = ["images", "security", "token_salt"];
        secret_file::resolve(
            &mut security.token_salt,
            &security.token_salt_file,
            &key,
            problems,
        );
    }
}

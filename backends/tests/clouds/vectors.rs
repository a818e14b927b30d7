//! Signatures that the vendors have published, against the arithmetic of these tests.

use crate::arithmetic::{cos, oss_v4, sig_v4};
use crate::scripted_storage::Request;

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    Request {
        method: method.into(),
        target: target.into(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()))
            .collect(),
        body: body.into(),
    }
}

/// Good as it is, and refused with one byte changed.
fn assert_signed(signed: &Request, verify: impl Fn(&Request) -> Result<(), String>) {
    assert_eq!(verify(signed), Ok(()));
    let mut other = signed.clone();
    other.target.insert(1, 'x');
    assert!(verify(&other).is_err());
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
#[test]
fn the_examples_of_amazon() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let get = request(
        "GET",
        "/test.txt",
        &[
            ("Host", "examplebucket.s3.amazonaws.com"),
            ("Range", "bytes=0-9"),
            (
                "x-amz-content-sha256",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            ("x-amz-date", "20130524T000000Z"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ],
        "",
    );
    let put = request(
        "PUT",
        "/test$file.text",
        &[
            ("Host", "examplebucket.s3.amazonaws.com"),
            ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
            (
                "x-amz-content-sha256",
                "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            ),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,\
                 Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
        ],
        "Welcome to Amazon S3.",
    );
    for signed in [get, put] {
        assert_signed(&signed, |signed| sig_v4(signed, secret));
    }
}

/// <https://www.tencentcloud.com/document/product/436/7778>
#[test]
fn the_examples_of_tencent() {
    let secret = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
    let put = request(
        "PUT",
        "/exampleobject(%E8%85%BE%E8%AE%AF%E4%BA%91)",
        &[
            ("Date", "Thu, 16 May 2019 06:45:51 GMT"),
            (
                "Host",
                "examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
            ),
            ("Content-Type", "text/plain"),
            ("Content-Length", "13"),
            ("Content-MD5", "mQ/fVh815F3k6TAUm8m0eg=="),
            ("x-cos-acl", "private"),
            ("x-cos-grant-read", "uin=\"100000000011\""),
            (
                "Authorization",
                "q-sign-algorithm=sha1&q-ak=AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q&\
                 q-sign-time=1557989151;1557996351&q-key-time=1557989151;1557996351&\
                 q-header-list=content-length;content-md5;content-type;date;host;x-cos-acl;x-cos-grant-read&\
                 q-url-param-list=&q-signature=3b8851a11a569213c17ba8fa7dcf2abec6935172",
            ),
        ],
        "ObjectContent",
    );
    let get = request(
        "GET",
        "/exampleobject(%E8%85%BE%E8%AE%AF%E4%BA%91)?response-content-type=application%2Foctet-stream\
         &response-cache-control=max-age%3D600",
        &[
            ("Date", "Thu, 16 May 2019 06:55:53 GMT"),
            (
                "Host",
                "examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
            ),
            (
                "Authorization",
                "q-sign-algorithm=sha1&q-ak=AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q&\
                 q-sign-time=1557989753;1557996953&q-key-time=1557989753;1557996953&\
                 q-header-list=date;host&q-url-param-list=response-cache-control;response-content-type&\
                 q-signature=01681b8c9d798a678e43b685a9f1bba0f6c0e012",
            ),
        ],
        "",
    );
    for signed in [put, get] {
        assert_signed(&signed, |signed| cos(signed, secret));
    }
}

/// From the tests of Aliyun's SDKs, the same in all languages (`TestAuthHeader…` of `signer_v4_test.go`).
#[test]
fn the_examples_of_aliyun() {
    for (date, token, authorization) in [
        (
            "20231216T162057Z",
            "",
            "OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,\
             Signature=e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe",
        ),
        (
            "20231217T034736Z",
            "token",
            "OSS4-HMAC-SHA256 Credential=ak/20231217/cn-hangzhou/oss/aliyun_v4_request,\
             Signature=b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea",
        ),
        (
            "20231216T172512Z",
            "",
            "OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,\
             AdditionalHeaders=abc;zabc,\
             Signature=4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f",
        ),
    ] {
        let mut headers = vec![
            ("x-oss-head1", "value"),
            ("abc", "value"),
            ("ZAbc", "value"),
            ("XYZ", "value"),
            ("content-type", "text/plain"),
            ("x-oss-content-sha256", "UNSIGNED-PAYLOAD"),
            ("x-oss-date", date),
            ("Authorization", authorization),
        ];
        headers.extend(Some(("x-oss-security-token", token)).filter(|_| !token.is_empty()));
        let target = "/1234%2B-/123/1.txt?param1=value1&%2Bparam1=value3&%7Cparam1=value4&%2Bparam2=&%7Cparam2&param2=";
        let signed = request("PUT", target, &headers, "");
        assert_signed(&signed, |signed| oss_v4(signed, "bucket", "sk"));
    }
}
